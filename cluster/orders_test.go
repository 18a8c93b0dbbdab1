package cluster

import (
	"errors"
	"testing"
	"time"

	"cairn/bubble"
	"cairn/cluster/group"
)

// leader leads a group of nodes 1 (itself), 2 and the learner 3.
type leader struct {
	begun  time.Time
	hears  time.Duration // when it hears of node 2
	yields time.Duration // when node 2 leads, if it was asked to
	asked  bool
}

func (l *leader) past(d time.Duration) bool { return time.Since(l.begun) >= d }
func (l *leader) Status() group.Status      { return group.Status{Leads: !l.asked || !l.past(l.yields)} }
func (l *leader) Transfer(uint64)           { l.asked = true }
func (l *leader) TransferAny() bool {
	l.asked = l.past(l.hears)
	return l.asked
}

func (l *leader) Replicas() ([]group.Replica, bool) {
	return []group.Replica{{Node: 1, Active: true}, {Node: 2, Active: l.past(l.hears)}, {Node: 3, Learner: true, Active: true}}, false
}

// TestTransferWaits lets a leader hear of the node that is to lead after a while, or
// never.
func TestTransferWaits(t *testing.T) {
	const never = time.Hour
	for name, test := range map[string]struct {
		leader leader
		to     uint64
		want   string
	}{
		"at once":               {leader{}, 2, ""},
		"heard of late":         {leader{hears: time.Second, yields: 2 * time.Second}, 2, ""},
		"any, heard of late":    {leader{hears: time.Second, yields: 2 * time.Second}, 0, ""},
		"never heard of":        {leader{hears: never}, 2, "node 0000000000000002 cannot lead: it is not connected"},
		"nobody is heard of":    {leader{hears: never}, 0, "no other node can lead at present: none was heard of for 2.5s"},
		"it does not take over": {leader{yields: never}, 2, "the lead was not taken within 1.5s"},
		"a learner":             {leader{}, 3, "node 0000000000000003 cannot lead: it is not a member"},
		"a stranger":            {leader{}, 4, "node 0000000000000004 cannot lead: it is not a member"},
		"itself":                {leader{}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				l := test.leader
				l.begun = time.Now()
				err := obeyTransfer(t.Context(), &l, 1, test.to)
				var refused *OrderError
				switch {
				case test.want == "" && err != nil:
					t.Error(err)
				case test.want != "" && (!errors.As(err, &refused) || err.Error() != test.want):
					t.Errorf("%v, want %s", err, test.want)
				}
				if took := time.Since(l.begun); took >= orderTime {
					t.Errorf("the answer took %v: whoever asks has given up by then", took)
				}
			})
		})
	}
}
