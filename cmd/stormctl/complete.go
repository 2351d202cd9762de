package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/targets/reference"
)

// completeAll lets the shell complete what flags and verbs take: the words of an
// enumeration, files of the right kind, folders where one is wanted, and no files
// where none is.
func completeAll(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = argumentsOf(cmd.Name())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "bool" {
				// The error is that there is one already, which is as good.
				_ = cmd.RegisterFlagCompletionFunc(f.Name, valuesOf(cmd.Name(), f))
			}
		})
	}
}

// argumentsOf completes the arguments of a verb.
func argumentsOf(verb string) cobra.CompletionFunc {
	switch verb {
	case "run", "validate", "gate", "discover", "gameday":
		return files("yaml", "yml", "json")
	case "judge", "report", "watch", "compare":
		return folders
	case "init":
		return oneOf(patternNames()...)
	case "target":
		return oneOf(reference.Names()...)
	default:
		return cobra.NoFileCompletions
	}
}

// valuesOf completes the values of a flag of a verb: those of an enumeration, or by the
// word that its help has for them.
func valuesOf(verb string, f *pflag.Flag) cobra.CompletionFunc {
	switch f.Name {
	case "report", "format":
		if verb == "load" {
			return list(oneOf(reports.LoadFormats()...))
		}
		return list(oneOf(reports.Formats()...))
	case "inconclusive":
		return oneOf("error", "skipped")
	case "arrivals":
		return oneOf(experiment.Constant, experiment.Poisson)
	case "protocol":
		return oneOf(load.HTTP1, load.HTTP2, load.GRPC, load.Auto)
	case "when-stalled":
		return oneOf(experiment.Queue, experiment.Skip, experiment.Burst+"=")
	case "poller":
		return oneOf(load.Transports()...)
	case "method":
		return oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
	case "flaw":
		return oneOf(flawNames()...)
	case "har":
		return files("har", "json")
	case "data":
		return files("csv", "json", "jsonl", "ndjson")
	case "config":
		return files("json", "yaml", "yml")
	case "cacert", "cert", "key":
		return files("pem", "crt", "cer", "key")
	}
	switch value, _ := pflag.UnquoteUsage(f); value {
	case "file", "socket":
		return files()
	case "directory":
		return folders
	}
	return cobra.NoFileCompletions
}

func flawNames() (names []string) {
	for _, service := range reference.Names() {
		d, _ := reference.Describe(service)
		for _, f := range d.Flaws {
			names = append(names, f.Name)
		}
	}
	return names
}

// oneOf completes to one of them.
func oneOf(all ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// list completes the last of several values with commas between them.
func list(one cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, given string) ([]cobra.Completion, cobra.ShellCompDirective) {
		all, directive := one(cmd, args, given)
		before := given[:strings.LastIndex(given, ",")+1]
		values := make([]cobra.Completion, len(all))
		for i, word := range all {
			values[i] = before + word
		}
		return values, directive
	}
}

// files completes to files with one of these endings, or to any if there are
// none.
func files(endings ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if endings == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

func folders(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
