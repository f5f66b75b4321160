package discovery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"

	"github.com/stoker-project/stoker/discovery/icontest"
)

// canned answers requests of getPReps from bytes that were made before.
type canned struct {
	pages [][]byte // by page
	size  int
}

// can records the answers that a refresh of a network gets, page by page, in two
// versions that differ in one name: taking turns, each refresh writes.
func can(b *testing.B, n int) (versions [2]*canned) {
	network := icontest.Generate(n, 1)
	network.Rename(addresses(network)[0], "Version 0")
	node := icontest.NewNode(network)
	versions = [2]*canned{{}, {}}
	for start := 1; start <= n; start += pageSize {
		body, err := json.Marshal(request{"2.0", requestID, "icx_call", callParams{To: systemContract, DataType: "call", Data: callData{"getPReps",
			map[string]string{"startRanking": fmt.Sprintf("0x%x", start), "endRanking": fmt.Sprintf("0x%x", start+pageSize-1)}}}})
		if err != nil {
			b.Fatal(err)
		}
		resp, err := inProcess{"a.test": node}.RoundTrip(mustRequest(b, body))
		if err != nil {
			b.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			b.Fatal(err)
		}
		versions[0].pages = append(versions[0].pages, page)
		versions[1].pages = append(versions[1].pages, bytes.ReplaceAll(page, []byte("Version 0"), []byte("Version 1")))
		versions[0].size += len(page)
	}
	return versions
}

func mustRequest(b *testing.B, body []byte) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "http://a.test/api/v3", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	var asked struct {
		Params struct {
			Data struct{ Params struct{ StartRanking string } }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	start, err := strconv.ParseInt(asked.Params.Data.Params.StartRanking, 0, 64)
	if err != nil {
		return nil, err
	}
	page, status := []byte(`{"jsonrpc":"2.0","error":{"code":-30006,"message":""},"id":1}`), http.StatusBadRequest
	if i := int(start-1) / pageSize; i < len(c.pages) {
		page, status = c.pages[i], http.StatusOK
	}
	return &http.Response{StatusCode: status, ContentLength: int64(len(page)), Body: io.NopCloser(bytes.NewReader(page)), Request: r}, nil
}

// BenchmarkSync measures from the network's answer to the file on disk, for five
// exporters, against the floor: encoding/json decoding the same bytes into the
// same rows, and no more.
//
//	changed    read and compare the files there are, decode, check, judge, render, write and fsync two files
//	unchanged  the same, without a targets file to write
//	bytes      the same, without anything to write: what Render does
//
// Changed waits for the disk four times, for two files and their folders; one of
// them has 27 MB for 10,000 P-Reps. What that takes says nothing about the code.
func BenchmarkSync(b *testing.B) {
	for _, n := range []int{150, 1000, 10_000} {
		versions := can(b, n)
		floor := 0.0 // nanoseconds
		b.Run(fmt.Sprintf("preps=%d/floor", n), func(b *testing.B) {
			b.SetBytes(int64(versions[0].size))
			b.ReportAllocs()
			for b.Loop() {
				for _, data := range versions[0].pages {
					var answer struct{ Result page }
					if err := json.Unmarshal(data, &answer); err != nil {
						b.Fatal(err)
					}
				}
			}
			floor = float64(b.Elapsed()) / float64(b.N)
		})
		for _, what := range []string{"bytes", "unchanged", "changed"} {
			b.Run(fmt.Sprintf("preps=%d/exporters=5/%s", n, what), func(b *testing.B) {
				a := benchAgent(b)
				b.SetBytes(int64(versions[0].size))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if what != "unchanged" {
						i++
					}
					a.networks[0].clients[0].http.Transport = versions[i%2]
					var err error
					if what == "bytes" {
						_, err = a.Render(b.Context())
					} else {
						_, err = a.Sync(b.Context())
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/floor, "x-floor")
			})
		}
	}
}

// BenchmarkMemory shows the most memory that is in use at any time of a refresh
// that changes the file, beyond what was in use before it. The collector runs
// all the time to tell, so the times mean nothing.
func BenchmarkMemory(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	for _, n := range []int{150, 1000, 10_000} {
		versions := can(b, n)
		b.Run(fmt.Sprintf("preps=%d/exporters=5", n), func(b *testing.B) {
			a := benchAgent(b)
			peak, i := uint64(0), 0
			for b.Loop() {
				i++
				a.networks[0].clients[0].http.Transport = versions[i%2]
				runtime.GC()
				before, done := heapInUse(), make(chan struct{})
				var watching sync.WaitGroup
				watching.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
							peak = max(peak, heapInUse()-min(before, heapInUse()))
							runtime.Gosched()
						}
					}
				})
				if _, err := a.Sync(b.Context()); err != nil {
					b.Fatal(err)
				}
				close(done)
				watching.Wait()
			}
			b.ReportMetric(float64(peak)/1e6, "peak-MB")
			b.ReportMetric(float64(versions[0].size)/1e6, "answer-MB")
		})
	}
}

// heapInUse is the size of the objects on the heap, dead ones included that
// weren't collected yet.
func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// benchAgent has one network, whose targets files are in a folder of its own.
func benchAgent(b *testing.B) *Agent {
	cfg := testNetwork(1)
	cfg.NetworkID, cfg.Exporters = "", nil
	for i := range 5 {
		cfg.Exporters = append(cfg.Exporters, Exporter{Name: fmt.Sprintf("exporter%d", i), Port: 9000 + i, Path: "/metrics", Scheme: "http"})
	}
	a, err := New(Config{TargetsDir: b.TempDir(), Networks: []Network{cfg}}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	return a
}
