// Package kanx runs processes for others: a server in one container, reached by a socket in a volume that others share, starts
// commands, keeps what they write and tells how they end. Its protocol is upstream's kanx.ProcessService, over gRPC, so that either
// end may be upstream's (COMPAT §5.1).
package kanx

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const service = "kanx.ProcessService"

// messages are those of the protocol, by name. It is six small ones: described here rather than in a file that a compiler of its own
// would turn into code.
var messages = describe()

func describe() protoreflect.MessageDescriptors {
	const (
		number = descriptorpb.FieldDescriptorProto_TYPE_INT64
		text   = descriptorpb.FieldDescriptorProto_TYPE_STRING
		state  = descriptorpb.FieldDescriptorProto_TYPE_ENUM
	)

	field := func(name string, n int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &n, Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), JsonName: &name,
		}
		if kind == state {
			f.TypeName = proto.String(".kanx.ProcessState")
		}

		return f
	}
	message := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
	}
	value := func(name string, n int32) *descriptorpb.EnumValueDescriptorProto {
		return &descriptorpb.EnumValueDescriptorProto{Name: &name, Number: &n}
	}

	args := field("args", 2, text)
	args.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()

	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("kanx.proto"), Package: proto.String("kanx"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			message("CreateProcessRequest", field("name", 1, text), args),
			message("ListProcessesRequest"),
			message("ProcessPidRequest", field("pid", 1, number)),
			message("SignalProcessRequest", field("pid", 1, number), field("signal", 2, number)),
			message("Process", field("pid", 1, number), field("state", 2, state), field("exitCode", 3, number), field("exitErr", 4, text)),
			message("Output", field("output", 1, text)),
		},
		EnumType: []*descriptorpb.EnumDescriptorProto{{
			Name: proto.String("ProcessState"),
			Value: []*descriptorpb.EnumValueDescriptorProto{
				value("PROCESS_STATE_UNSPECIFIED", 0), value("PROCESS_STATE_RUNNING", 1), value("PROCESS_STATE_SUCCEEDED", 2), value("PROCESS_STATE_FAILED", 3),
			},
		}},
	}, nil)
	if err != nil {
		panic(err) // the text above
	}

	return file.Messages()
}

// State of a process.
type State int32

// The states.
const (
	Running   State = 1
	Succeeded State = 2
	Failed    State = 3
)

// Process is one that a server has started.
type Process struct {
	// PID is its process ID in the server's container.
	PID   int64
	State State
	// ExitCode and ExitErr say how it failed: -1 for one that was killed.
	ExitCode int64
	ExitErr  string
}

func message(name protoreflect.Name) *dynamicpb.Message {
	return dynamicpb.NewMessage(messages.ByName(name))
}

func set(m *dynamicpb.Message, field protoreflect.Name, value any) {
	m.Set(m.Descriptor().Fields().ByName(field), protoreflect.ValueOf(value))
}

func number(m *dynamicpb.Message, field protoreflect.Name) int64 {
	return m.Get(m.Descriptor().Fields().ByName(field)).Int()
}

func text(m *dynamicpb.Message, field protoreflect.Name) string {
	return m.Get(m.Descriptor().Fields().ByName(field)).String()
}

func pidRequest(pid int64) *dynamicpb.Message {
	m := message("ProcessPidRequest")
	set(m, "pid", pid)

	return m
}

// Message is the process as the protocol has it, for printing.
func (p Process) Message() proto.Message { return p.wire() }

func (p Process) wire() *dynamicpb.Message {
	m := message("Process")
	set(m, "pid", p.PID)
	set(m, "state", protoreflect.EnumNumber(p.State))
	set(m, "exitCode", p.ExitCode)
	set(m, "exitErr", p.ExitErr)

	return m
}

func processOf(m *dynamicpb.Message) Process {
	return Process{
		PID: number(m, "pid"), State: State(m.Get(m.Descriptor().Fields().ByName("state")).Enum()), ExitCode: number(m, "exitCode"), ExitErr: text(m, "exitErr"),
	}
}
