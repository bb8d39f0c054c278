package operator

import "time"

// MaxEvents bounds the events that one [Redelivery] names.
const MaxEvents = 1000

// DeadLetter is an event about an outcome that a webhook did not take, however
// often it was sent.
type DeadLetter struct {
	// Event is its number; the receiver sees it at the end of the event's id.
	Event int64 `json:"event"`
	// Webhook is the name that the daemon's configuration gives it.
	Webhook string `json:"webhook"`
	// Kind is push, invocation or drift. Entry is the ledger's row that an event about a
	// push tells of; Subject is what any other event is about.
	Kind    string `json:"kind"`
	Entry   int64  `json:"entry"`
	Subject string `json:"subject,omitzero"`
	// Attempts counts the deliveries that failed, Last is when the last of them
	// did, and Error what it said.
	Attempts int       `json:"attempts"`
	Last     time.Time `json:"last"`
	Error    string    `json:"error"`
}

// DeadLetterPage lists dead letters, the oldest first.
type DeadLetterPage struct {
	DeadLetters []DeadLetter `json:"deadLetters"`
	// Next is the cursor of the next page, or 0 on the last one.
	Next int64 `json:"next,omitzero"`
}

// Redelivery says which dead letters are to be delivered again. All fields that
// are set have to hold, and one has to be set.
type Redelivery struct {
	Events  []int64 `json:"events,omitzero"`
	Webhook string  `json:"webhook,omitzero"`
	// All means every one; it cannot be meant by leaving the others empty.
	All bool `json:"all,omitzero"`
}

// Empty says that nothing is selected.
func (r Redelivery) Empty() bool { return len(r.Events) == 0 && r.Webhook == "" && !r.All }

// Redelivered says what became of a [Redelivery].
type Redelivered struct {
	// Events counts those that wait for their delivery now.
	Events int `json:"events"`
}
