package kanx

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// description is the service as gRPC wants it.
var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		unary("CreateProcess", "CreateProcessRequest", (*Server).create),
		unary("GetProcess", "ProcessPidRequest", func(s *Server, request *dynamicpb.Message) (Process, error) {
			p, err := s.find(request)
			if err != nil {
				return Process{}, err
			}

			return p.describe(), nil
		}),
		unary("SignalProcess", "SignalProcessRequest", (*Server).signal),
	},
	Streams: []grpc.StreamDesc{
		streaming("ListProcesses", "ListProcessesRequest", func(s *Server, _ *dynamicpb.Message, stream grpc.ServerStream) error {
			for _, p := range s.all() {
				if err := stream.SendMsg(p.describe().wire()); err != nil {
					return err
				}
			}

			return nil
		}),
		streaming("Stdout", "ProcessPidRequest", func(s *Server, request *dynamicpb.Message, stream grpc.ServerStream) error {
			p, err := s.find(request)
			if err != nil {
				return err
			}

			return follow(p.stdout, stream)
		}),
		streaming("Stderr", "ProcessPidRequest", func(s *Server, request *dynamicpb.Message, stream grpc.ServerStream) error {
			p, err := s.find(request)
			if err != nil {
				return err
			}

			return follow(p.stderr, stream)
		}),
	},
}

func unary(name string, request protoreflect.Name, do func(*Server, *dynamicpb.Message) (Process, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(server any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := message(request)
		if err := decode(in); err != nil {
			return nil, err
		}

		p, err := do(server.(*Server), in)
		if err != nil {
			return nil, err
		}

		return p.wire(), nil
	}}
}

func streaming(name string, request protoreflect.Name, do func(*Server, *dynamicpb.Message, grpc.ServerStream) error) grpc.StreamDesc {
	return grpc.StreamDesc{StreamName: name, ServerStreams: true, Handler: func(server any, stream grpc.ServerStream) error {
		in := message(request)
		if err := stream.RecvMsg(in); err != nil {
			return err
		}

		return do(server.(*Server), in, stream)
	}}
}
