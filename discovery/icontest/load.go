package icontest

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

// Load makes a network of a recorded getPReps answer: a file with the whole
// JSON-RPC response. Its P-Reps, height and total stake are as recorded; the
// network id is 1.
func Load(path string) (*Network, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

func parse(data []byte) (*Network, error) {
	var answer struct {
		Result struct {
			BlockHeight string
			TotalStake  string
			PReps       []PRep
		}
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	height, err := strconv.ParseInt(answer.Result.BlockHeight, 0, 64)
	if err != nil {
		return nil, fmt.Errorf("result.blockHeight: %w", err)
	}
	if len(answer.Result.PReps) == 0 {
		return nil, fmt.Errorf("result.preps: no P-Rep in it")
	}
	rows := make([]row, len(answer.Result.PReps))
	for i, p := range answer.Result.PReps {
		rows[i] = newRow(p)
	}
	s := newState(height, rows)
	s.totalStake = answer.Result.TotalStake
	revision := ICON1
	if _, ok := answer.Result.PReps[0]["power"]; ok {
		revision = IISS3
	}
	return &Network{
		nid: 1, channel: "icon_dex", revision: revision,
		latest: height, states: []state{s},
	}, nil
}
