package main

import (
	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/result"
)

func newSchemaCommand() *cobra.Command {
	cmd := schemaOf(experiment.Schema)
	cmd.Use = "schema"
	cmd.Short = "Prints the JSON Schema of the experiment file, or of result.json"
	cmd.Long = `Prints the JSON Schema of the experiment file. Editors complete and check with it:
write it to a file and name that file in the first line of the experiment,

  # yaml-language-server: $schema=experiment.schema.json

stormctl schema result prints the one of result.json.`
	cmd.Example = "  stormctl schema > experiment.schema.json\n  stormctl schema result > result.schema.json"
	results := schemaOf(result.JSONSchema)
	results.Use = "result"
	results.Short = "Prints the JSON Schema of result.json"
	results.Long = `Prints the JSON Schema of result.json, which every run leaves in its directory:
each field with its unit and what it means where it is absent. Fields may be
added under the same version, so a reader must not refuse those it does not know.`
	results.Example = "  stormctl schema result > result.schema.json"
	cmd.AddCommand(results)
	return cmd
}

// schemaOf is a verb that prints a schema.
func schemaOf(schema func() ([]byte, error)) *cobra.Command {
	return &cobra.Command{
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
