package cluster

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
)

// Nodes tell each other what their replicas have come to, as a part of what they say of
// themselves twice a second: the sums of each group, by number. A group that is missing
// has no replica there at present.

// sums are those of this node's replicas, as JSON.
func (n *Node) sums() json.RawMessage {
	slots := n.slots.Load()
	if slots == nil {
		return nil
	}
	all := map[int][]group.Sum{}
	for i, place := range *slots {
		if g := place.present(); g != nil {
			all[i] = g.Sums()
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // it has numbers
	}
	return text
}

// hearSums takes those of another node.
func (n *Node) hearSums(from peer.Hello, state []byte) {
	slots := n.slots.Load()
	var said struct {
		Replicas map[int][]group.Sum `json:"replicas"`
	}
	if slots == nil || group.Level(from.Level) < group.LevelCheck || json.Unmarshal(state, &said) != nil {
		return
	}
	for i, place := range *slots {
		if g := place.present(); g != nil {
			latest, there := said.Replicas[i]
			g.Hear(from.Node, latest, there)
		}
	}
}

// tellSick tells another node that its replica differs from most.
func (n *Node) tellSick(i int, node uint64, most group.Sum) {
	body := binary.AppendUvarint([]byte{forwardSick}, uint64(i))
	body = binary.AppendUvarint(binary.AppendUvarint(body, most.Index), most.Digest)
	n.peers.Call(node, body, time.Now().Add(attemptTime), func([]byte, error) {})
}

// isSick is told by a leader that the replica here differs from most. It knows itself
// whether it does.
func (n *Node) isSick(body []byte) {
	number, rest := cutNumber(body[1:])
	var most group.Sum
	most.Index, rest = cutNumber(rest)
	most.Digest, _ = cutNumber(rest)
	g := n.group(number)
	if g == nil || g.Status().Leads || !g.Differs(most) {
		return
	}
	n.logger.Info("a replica that differs from most others is replaced by a copy of another node's", "group", number, "index", most.Index)
	n.beginRepair(int(number))
}
