package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a process that the benchmark started.
type process struct {
	address string
	command *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
	// pids are those whose CPU time counts.
	pids []int
	// cleanup is called once the process is gone.
	cleanup func()
}

// startChild runs this program in a role.
func startChild(role, backend string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	if backend != "" {
		role += "@" + backend
	}
	p := &process{command: exec.Command(self, childFlag, role)}
	p.command.Stderr = os.Stderr
	if p.input, err = p.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	p.output = bufio.NewReader(output)
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	p.pids = []int{p.command.Process.Pid}
	line, err := p.output.ReadString('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

func (p *process) stop() {
	if p.input != nil {
		_ = p.input.Close()
	} else {
		_ = p.command.Process.Signal(os.Interrupt)
	}
	_ = p.command.Wait() // how it ended does not matter any more
	if p.cleanup != nil {
		p.cleanup()
	}
}

// memory is what the process has in use, in bytes, after a garbage collection.
func (p *process) memory() (float64, error) {
	if _, err := fmt.Fprintln(p.input); err != nil {
		return 0, fmt.Errorf("ask for memory: %w", err)
	}
	line, err := p.output.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("ask for memory: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(line), 64)
}

// ticksPerSecond is USER_HZ, which is 100 on every Linux of today.
const ticksPerSecond = 100

// cpu is the CPU time that the process has used, user's and system's.
func (p *process) cpu() (time.Duration, error) {
	var ticks int64
	for _, pid := range p.pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		// The second field is the program's name in parentheses, and can hold spaces.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read CPU time: %w", err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}
