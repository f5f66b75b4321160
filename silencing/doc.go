// Package silencing keeps Alertmanager's silences equal to a reviewed file, silences.yaml, and hushes what fires.
//
// A rule of the file is one silence, or a recurring window:
//
//	silences:
//	- name: seoul-disk-swap                  # unique, a-z, 0-9 and -
//	  matchers: ['instance=~"node-seoul-0[12]:9100"', 'severity="warning"']
//	  starts_at: 2026-12-01T02:00:00+09:00   # optional: otherwise at once
//	  ends_at: 2026-12-01T04:00:00+09:00     # or, after a starts_at, duration: 2h
//	  created_by: alice                      # optional, shown in the comment
//	  comment: OPS-142 disk swap
//	- name: nightly-backup
//	  matchers: ['alertname="HighLoad"', 'instance="backup-01:9100"']
//	  allow_critical: true                   # no matcher spares severity="critical": must be said
//	  schedule: "30 23 * * 1-5"              # cron, on the wall clock of the location
//	  location: Asia/Seoul
//	  duration: 2h                           # elapsed time, may go over midnight
//	  ends_at: 2027-03-31T00:00:00Z          # the end of the rule itself
//	  comment: backup load is expected
//	  on_manual_expire: recreate             # default: respect
//
// Matchers are those of alertmanager.yml. Every time has its offset, and everything ends: a silence
// within 30 days, a recurring rule within a year. [Parse] refuses what would silence nearly everything,
// or critical alerts without saying so, and returns all problems of a file with their line and column.
// An empty file is one of them; to have no silences, write `silences: []`.
//
// # What is written
//
// One pass of an [Agent] reads the file, lists the silences and writes what [Plan] says: one GET and no
// write when all is as it should be. What has been written is not remembered but marked. A silence
// belongs to the file if its author is stoker/<owner> and its comment ends in
//
//	[stoker:<owner>/<rule>@<occurrence>#<hash of matchers and times>]
//
// and no other is ever changed, however much it looks like one: a silence with half of that is a
// person's. Edits keep the silence's ID where Alertmanager permits that. Where it doesn't, the new
// silence is there before the old one ends. A silence that is ended from here says so in its mark
// (;ended:removed, replaced or duplicate). That is how one that a person ended early is told apart: it
// stays ended for as long as the matchers and times of its rule stay the same and Alertmanager
// remembers it, which is its --data.retention, five days by default, if it doesn't crash; or, with a
// folder to keep state in, for as long as they stay the same. Who makes it again in Alertmanager ends that.
//
// A silence with a start in future is written at once, for people to see; of a recurring rule only the
// next one, ten minutes ahead.
//
// In a cluster every Alertmanager may have a sidecar with the same file. The one whose Alertmanager is
// at position i of its own sorted peers leaves a difference to the others for i times 30 s. What two of
// them wrote at the same time, or each on its side of a broken network, collapses in the next pass. While they read different versions of the
// file, each undoes in its turn what the other did.
//
// # What can fail
//
// A file that is broken, gone or being written changes nothing: the last good one is kept true. A list
// of silences that isn't complete and sound is unknown, not empty, and nothing is written. A silence
// that Alertmanager refuses doesn't stop the others. Alertmanager that lost its silences gets them
// again, and one that got back what had been ended ends it again.
//
// # What is seen
//
// [Look] asks Alertmanager what is silenced and by what, without an agent, and
// [Agent.Survey] says the same of the last pass. How many alerts each silence
// silences takes one more request, which a pass has only when a silence of the
// file has become active and every five minutes. [Export] makes a rule of what a
// person silenced by hand; [Render] shows what comes; [Schema] is for editors.
//
// # Hushes
//
// A [Desk] makes silences of what fires now: of a few labels, severity among
// them, so that a critical sibling still sounds. Their author is whoever hushes,
// and their mark is
//
//	[stoker:ack/<contact>@<end>#<hash>]
//	[stoker:ack/<contact>@resolved-<latest end>#<hash>]
//
// the second one until resolved: it lasts 15 minutes, and a [Keeper] beside any
// Alertmanager of the cluster extends it in place while it silences something
// that fires and ends it as soon as nothing does. Only so does Alertmanager say
// that the alert is resolved, and say it at once if it fires again. The hash is
// of what a person may change in Alertmanager; one that was changed is theirs.
// No file's owner is called ack, so the file's agent leaves hushes alone.
//
// It works with Alertmanager 0.27 and later; the semantics it relies on are those of its
// silence/silence.go and api/v2, and are pinned by the tests, which run against real ones.
package silencing
