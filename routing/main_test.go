package routing

import (
	"os"
	"testing"

	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/common/promslog"
)

// Matchers are read as stoker's main, and Alertmanager's, have them read.
func TestMain(m *testing.M) {
	compat.InitFromFlags(promslog.NewNopLogger(), featurecontrol.NoopFlags{})
	os.Exit(m.Run())
}
