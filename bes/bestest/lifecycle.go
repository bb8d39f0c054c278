package bestest

import (
	"context"
	"time"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/protobuf/types/known/emptypb"
)

// lifecycleDeadline is Bazel's.
const lifecycleDeadline = 15 * time.Second

func enqueued() *buildv1.BuildEvent {
	return &buildv1.BuildEvent{Event: &buildv1.BuildEvent_BuildEnqueued_{BuildEnqueued: &buildv1.BuildEvent_BuildEnqueued{}}}
}

func attemptStarted() *buildv1.BuildEvent {
	return &buildv1.BuildEvent{Event: &buildv1.BuildEvent_InvocationAttemptStarted_{
		InvocationAttemptStarted: &buildv1.BuildEvent_InvocationAttemptStarted{AttemptNumber: 1},
	}}
}

func attemptFinished() *buildv1.BuildEvent {
	return &buildv1.BuildEvent{Event: &buildv1.BuildEvent_InvocationAttemptFinished_{
		InvocationAttemptFinished: &buildv1.BuildEvent_InvocationAttemptFinished{},
	}}
}

func finished() *buildv1.BuildEvent {
	return &buildv1.BuildEvent{Event: &buildv1.BuildEvent_BuildFinished_{BuildFinished: &buildv1.BuildEvent_BuildFinished{}}}
}

// lifecycle sends one lifecycle event. Those of the build itself carry no invocation.
func (u *upload) lifecycle(ctx context.Context, event *buildv1.BuildEvent) error {
	ctx, cancel := context.WithTimeout(ctx, lifecycleDeadline)
	defer cancel()
	id := &buildv1.StreamId{BuildId: u.bazel.BuildID, Component: buildv1.StreamId_CONTROLLER}
	switch event.GetEvent().(type) {
	case *buildv1.BuildEvent_InvocationAttemptStarted_, *buildv1.BuildEvent_InvocationAttemptFinished_:
		id.InvocationId = u.bazel.InvocationID
	}
	u.sequence++
	return u.conn.Invoke(ctx, "/google.devtools.build.v1.PublishBuildEvent/PublishLifecycleEvent",
		&buildv1.PublishLifecycleEventRequest{
			BuildEvent: &buildv1.OrderedBuildEvent{StreamId: id, SequenceNumber: u.sequence, Event: event},
			ProjectId:  "project",
		}, &emptypb.Empty{})
}
