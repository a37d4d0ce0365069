package driver

import (
	"context"
	"log/slog"

	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// registrar tells the kubelet what listens on the socket it found, which is what node-driver-registrar does for drivers that
// do not do it themselves.
type registrar struct {
	registration.UnimplementedRegistrationServer
	name, socket string
	log          *slog.Logger
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              r.name,
		Endpoint:          r.socket,
		SupportedVersions: []string{Version},
	}, nil
}

func (r *registrar) NotifyRegistrationStatus(_ context.Context, s *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if s.GetPluginRegistered() {
		r.log.Info("registered with kubelet")
	} else {
		r.log.Error("kubelet refused registration", "error", s.GetError())
	}
	return &registration.RegistrationStatusResponse{}, nil
}
