// Command nomad reads a job as Nomad does, strictly, and prints its name and how many
// agents it has: what is no job is an error with its place.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/nomad/jobspec2"
)

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = read(body)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(body []byte) error {
	job, err := jobspec2.ParseWithConfig(&jobspec2.ParseConfig{Path: "job.hcl", Body: body, Strict: true})
	if err != nil {
		return err
	}
	for _, g := range job.TaskGroups {
		fmt.Println(*job.Name, *g.Count)
	}
	return nil
}
