package main

import (
	"fmt"
	"strings"
)

// goals are what is to be met, and whether it is.
type goals struct{ lines []goal }

type goal struct {
	name   string
	value  float64
	op     string
	target float64
}

func (g *goals) check(name string, value float64, op string, target float64) {
	g.lines = append(g.lines, goal{name, value, op, target})
}

func (g goal) met() bool {
	if g.op == "<" {
		return g.value < g.target
	}
	return g.value <= g.target
}

func (g *goals) met() bool {
	for _, line := range g.lines {
		if !line.met() {
			return false
		}
	}
	return true
}

func (g *goals) print() {
	fmt.Println()
	for _, line := range g.lines {
		verdict := "missed"
		if line.met() {
			verdict = "met"
		}
		name := strings.ReplaceAll(line.name, " ", "_")
		fmt.Printf("goal %s %.2f %s %g %s\n", name, line.value, line.op, line.target, verdict)
	}
}
