package main

import (
	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos/experiment"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Prints the JSON Schema of the experiment file",
		Long: `Prints the JSON Schema of the experiment file. Editors complete and check with it:
write it to a file and name that file in the first line of the experiment,

  # yaml-language-server: $schema=experiment.schema.json`,
		Example: "  stormctl schema > experiment.schema.json",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := experiment.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
