// Go's net, with a deadline on every call and without. Takes the ports of the echo server and of the
// sink, prints the port it accepts on, and for each line such as "limited 150" a line when that is done.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	connections = 64
	lanes       = 8
	limit       = 30 * time.Second
)

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func dial(port string) net.Conn {
	return must(net.DialTimeout("tcp", "127.0.0.1:"+port, limit))
}

func trips(conn net.Conn, count int, limited bool) {
	data := make([]byte, 64)
	for range count {
		if limited {
			check(conn.SetWriteDeadline(time.Now().Add(limit)))
		}
		must(conn.Write(data))
		for got := 0; got < len(data); {
			if limited {
				check(conn.SetReadDeadline(time.Now().Add(limit)))
			}
			got += must(conn.Read(data[got:]))
		}
	}
}

// together runs count tasks at the same time.
func together(count int, task func(i int)) {
	var group sync.WaitGroup
	for i := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			task(i)
		}()
	}
	group.Wait()
}

func main() {
	echo, sink := os.Args[1], os.Args[2]
	listener := must(net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	conns := make([]net.Conn, connections)
	together(connections, func(i int) { conns[i] = dial(echo) })
	var held []net.Conn
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command string
		var count int
		must(fmt.Sscan(lines.Text(), &command, &count))
		switch command {
		case "bare", "limited":
			together(connections, func(i int) { trips(conns[i], count, command == "limited") })
		case "connect":
			together(lanes, func(int) {
				for range count {
					check(dial(sink).Close())
				}
			})
		case "accept":
			for range count {
				check(listener.SetDeadline(time.Now().Add(limit)))
				held = append(held, must(listener.Accept()))
			}
		case "idle":
			for range count {
				conn := dial(sink)
				held = append(held, conn)
				go func() {
					conn.SetReadDeadline(time.Now().Add(10 * time.Minute))
					conn.Read(make([]byte, 64))
				}()
			}
		case "drop":
			for _, conn := range held {
				conn.Close()
			}
			held = nil
		}
		fmt.Println("done")
	}
}
