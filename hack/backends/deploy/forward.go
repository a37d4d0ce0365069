package deploy

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Forward opens a port of 127.0.0.1 to a port of the server's pod, through the API server as any kubectl can, until stop is called.
func (c *Cluster) Forward(ctx context.Context, s Server, podPort int) (port uint16, stop func(), err error) {
	pod, err := c.Pod(ctx, s)
	if err != nil {
		return 0, nil, err
	}
	round, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return 0, nil, fmt.Errorf("forwarding port: %w", err)
	}
	url := c.Client.CoreV1().RESTClient().Post().Resource("pods").Namespace(Namespace).Name(pod).SubResource("portforward").URL()
	done, ready := make(chan struct{}), make(chan struct{})
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: round}, http.MethodPost, url)
	f, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", podPort)}, done, ready, io.Discard, io.Discard)
	if err != nil {
		return 0, nil, fmt.Errorf("forwarding port: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	select {
	case err := <-ended:
		return 0, nil, fmt.Errorf("forwarding port to pod %q: %w", pod, err)
	case <-ctx.Done():
		close(done)
		<-ended
		return 0, nil, ctx.Err()
	case <-ready:
	}
	stop = func() { close(done); <-ended }
	ports, err := f.GetPorts()
	if err != nil {
		stop()
		return 0, nil, fmt.Errorf("forwarding port: %w", err)
	}
	return ports[0].Local, stop, nil
}
