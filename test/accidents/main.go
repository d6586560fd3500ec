// Command accidents runs its tables on a real control plane, and prints them with the results as Markdown.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
)

func main() {
	only := flag.String("run", "", "only what has a name that this regular expression matches")
	many := flag.Int("at-once", atOnce, "how many happen at the same time")
	page := flag.String("o", "", "the file to write the tables to besides")
	flag.Parse()
	if err := run(*only, *many, *page); err != nil {
		fmt.Fprintln(os.Stderr, "accidents:", err)
		os.Exit(1)
	}
}

// atOnce is how many accidents two processors can run without long waits for answers.
const atOnce = 8

func run(only string, many int, page string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var accidents []Accident
	for _, a := range Accidents {
		if pattern.MatchString(a.Name) {
			accidents = append(accidents, a)
		}
	}
	var operations []Operation
	for _, o := range Operations {
		if pattern.MatchString(o.Name) {
			operations = append(operations, o)
		}
	}
	happened, operated, err := Run(context.Background(), accidents, operations, many, func(round, name string, err error) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %s: %v\n", round, name, err)
		}
	})
	if err != nil {
		return err
	}
	failed := 0
	for _, o := range append(happened, operated...) {
		if o.Err != nil {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d are not as the table has them", failed)
	}
	text := markdown(accidents, happened, operations, operated)
	fmt.Print(text)
	if page == "" {
		return nil
	}
	return os.WriteFile(page, []byte(text), 0o644)
}
