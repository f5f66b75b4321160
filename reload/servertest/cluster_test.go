package servertest_test

import (
	"testing"

	"github.com/stoker-project/stoker/reload/servertest"
)

func TestClusterPartsAndHeals(t *testing.T) {
	for _, binary := range []string{"alertmanager", "alertmanager-0.27"} {
		t.Run(binary, func(t *testing.T) {
			t.Parallel()
			c := servertest.AlertmanagerCluster(t, 3, servertest.Binary(binary))
			c.Part(0)
			c.WaitPeers(1, 0)
			c.WaitPeers(2, 1, 2)
			c.Heal()
			c.WaitPeers(3)

			c.Members[2].Kill()
			c.WaitPeers(2, 0, 1)
			c.Members[2].Restart()
			c.WaitPeers(3)
		})
	}
}
