package bes

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

// newHealth says that the relay serves; Shutdown says that it does not.
func newHealth() *health.Server {
	h := health.NewServer()
	h.SetServingStatus(serviceName, healthv1.HealthCheckResponse_SERVING)
	return h
}

// RegisterHealth adds grpc.health.v1, for load balancers and probes, and server
// reflection, for people with grpcurl, to a server. Both the server as a whole ("")
// and the service by its name are NOT_SERVING from the beginning of
// [Service.Shutdown] on.
func (s *Service) RegisterHealth(server *grpc.Server) {
	healthv1.RegisterHealthServer(server, s.health)
	reflection.Register(server)
}

// Health is what RegisterHealth registers, for a server with more services than the
// relay to add theirs.
func (s *Service) Health() *health.Server { return s.health }
