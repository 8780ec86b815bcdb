// One member of a cluster of hashicorp/memberlist with its LAN defaults, which are MetalLB's settings: the peer in bench/liveness.ts.
// Usage: memberlist NAME ADDRESS PORT JOIN. Prints "ready N" and "dead NAME UNIX-MILLISECONDS".
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

type events struct{}

func (events) NotifyJoin(n *memberlist.Node)   {}
func (events) NotifyUpdate(n *memberlist.Node) {}
func (events) NotifyLeave(n *memberlist.Node) {
	fmt.Printf("dead %s %d\n", n.Name, time.Now().UnixMilli())
}

func main() {
	port, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	config := memberlist.DefaultLANConfig()
	config.Name = os.Args[1]
	config.BindAddr = os.Args[2]
	config.BindPort = port
	config.AdvertisePort = port
	config.Events = events{}
	config.LogOutput = io.Discard
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	for {
		if _, err := list.Join([]string{os.Args[4]}); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	for list.NumMembers() < 3 {
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Printf("ready %d\n", list.NumMembers())
	select {}
}
