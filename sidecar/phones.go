package sidecar

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/stoker-project/stoker/routing"
	"github.com/stoker-project/stoker/routing/twilio"
)

// addBridge adds the phone bridge, where there is one to be. It runs with Run only.
func (s *Sidecar) addBridge(selected map[string]bool) (err error) {
	phone := phoneOf(s.cfg)
	if phone == nil || phone.Provider != routing.Twilio || !selected[agentAlertmanager] || s.routing == nil || s.options.PublishOnly {
		return nil
	}
	s.bridge, err = twilio.NewBridge(twilio.Options{
		AccountSID:    phone.AccountSID,
		AuthToken:     func() (string, error) { return routing.ReadCredential(phone.AuthTokenFile) },
		From:          phone.From,
		APIURL:        phone.APIURL,
		Lookup:        s.routing.Phone,
		IdentityLabel: s.routing.IdentityLabel(),
		Severities:    s.routing.Severities(),
		Logger:        s.logger.With("agent", "phone-bridge"),
		Registerer:    s.registry,
	})
	return err
}

// phoneOf returns how contacts are reached by phone, nil if not at all.
func phoneOf(cfg *Config) *routing.PhoneConfig {
	if cfg.Routing == nil {
		return nil
	}
	return cfg.Routing.Phone
}

// listenBridge opens the listener of the bridge; nil if there is none.
func (s *Sidecar) listenBridge() (net.Listener, error) {
	if s.bridge == nil {
		return nil, nil
	}
	l, err := net.Listen("tcp", phoneOf(s.cfg).Listen())
	if err != nil {
		return nil, fmt.Errorf("routing.phone.bridge_listen: %w", err)
	}
	return l, nil
}

// serveBridge returns the bridge's server as an actor of a run group.
func (s *Sidecar) serveBridge(l net.Listener) (serve func() error, shutdown func()) {
	server := &http.Server{
		Handler:           s.bridge,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.logger.With("agent", "phone-bridge").Handler(), slog.LevelDebug),
	}
	listen, shutdown := s.listening(server, phoneOf(s.cfg).BridgeWebConfigFile, l)
	serve = func() error {
		if err := listen(); err != nil {
			return fmt.Errorf("phone bridge: %w", err)
		}
		return nil
	}
	return serve, shutdown
}
