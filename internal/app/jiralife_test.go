package app

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docket-hub/docket/connectors/jira/jiratest"
)

// scene is one cell of the life cycle against Jira.
type scene struct {
	name    string
	jira    jiratest.Options
	replace []string // in the configuration
	play    func(p *play)
}

// atOnce is how many scenes are played side by side; they mostly wait.
const atOnce = 8

// TestLifeAgainstJira plays every scene.
func TestLifeAgainstJira(t *testing.T) { playAll(t, false, allScenes()) }

// TestLifeAgainstJiraKilledAfterEveryWrite plays the scenes with docket killed at every write that it makes,
// between the write and the answer. DOCKET_CRASH=1 plays all of them.
func TestLifeAgainstJiraKilledAfterEveryWrite(t *testing.T) {
	scenes := allScenes()
	if os.Getenv("DOCKET_CRASH") == "" {
		scenes = slices.DeleteFunc(scenes, func(s scene) bool {
			return !slices.Contains([]string{"join, leave", "a person edits the priority", "deleted: made again once, then disputed"}, s.name)
		})
	}
	playAll(t, true, scenes)
}

func playAll(t *testing.T, deadly bool, scenes []scene) {
	if testing.Short() {
		t.Skip("plays whole lives of tickets")
	}
	hands := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, sc := range scenes {
		hands <- struct{}{}
		wg.Go(func() {
			defer func() { <-hands }()
			t.Run(sc.name, func(t *testing.T) {
				p := newPlay(t, sc.jira, sc.replace...)
				p.deadly = deadly
				sc.play(p)
				p.oracle()
				if deadly && p.kills == 0 {
					t.Error("docket was never killed; want a write to be killed at")
				}
			})
		})
	}
	wg.Wait()
}

func allScenes() []scene { return slices.Concat(scenesOfFindings(), scenesOfPeople(), scenesOfJira()) }

const day = 24 * time.Hour

// scenesOfFindings: what sources say moves the ticket.
func scenesOfFindings() []scene {
	return []scene{
		{name: "join, leave", play: func(p *play) {
			p.report(1, "HIGH")
			p.report(2, "HIGH")
			p.run()
			p.status("To Do")
			p.report(3, "HIGH")
			p.run()
			p.said(p.the(), "1 finding joined")
			if d := p.the().Description; !strings.Contains(d, "thing/00003") {
				p.t.Errorf("description does not list the finding that joined:\n%s", d)
			}
			p.report(3, "resolved")
			p.run()
			p.said(p.the(), "1 finding resolved")
			p.status("To Do")
			p.ticket("open")
		}},
		{name: "priority up and down", play: func(p *play) {
			p.report(1, "MEDIUM")
			p.run()
			if got := p.the().Priority; got != "Medium" {
				p.t.Errorf("priority = %s; want Medium", got)
			}
			p.pass(time.Hour)
			p.report(1, "CRITICAL")
			p.run()
			if got := p.the().Priority; got != "Highest" {
				p.t.Errorf("priority = %s; want Highest", got)
			}
			p.said(p.the(), "Priority rises from P3 to P1")
			p.pass(time.Hour)
			p.report(1, "LOW")
			p.run()
			if got := p.the().Priority; got != "Highest" {
				p.t.Errorf("priority before a quiet day = %s; want Highest", got)
			}
			p.pass(2 * day)
			p.run()
			if got := p.the().Priority; got != "Low" {
				p.t.Errorf("priority after a quiet day = %s; want Low", got)
			}
			p.said(p.the(), "Priority falls from P1 to P4")
		}},
		{name: "all resolved, back within the window, back later", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.pass(time.Hour)
			p.report(1, "resolved")
			p.run()
			p.status("Done")
			p.ticket("closed")
			if r := p.the().Resolution; r != "Done" {
				p.t.Errorf("resolution = %q; want Done", r)
			}
			p.pass(time.Hour)
			p.report(1, "HIGH")
			p.run()
			p.status("To Do")
			p.said(p.the(), "Reopened: ")
			p.pass(time.Hour)
			p.report(1, "resolved")
			p.run()
			p.status("Done")
			p.pass(8 * day)
			p.report(1, "HIGH")
			p.run()
			list := p.issues(2)
			if list[0].Status != "Done" || list[1].Status != "To Do" || len(list[1].Links) != 1 || list[1].Links[0].Other != list[0].Key {
				p.t.Errorf("issues = %+v; want the old one closed and a new one that links it", list)
			}
		}},
		{name: "suppressed, and the suppression is over", play: func(p *play) {
			p.report(1, "HIGH")
			p.run()
			p.configure(p.yaml + "suppressions: [{name: legacy, when: 'finding.control == \"SAMPLE.1\"', reason: goes away, by: sec, until: " +
				p.now().Add(10*day).Format(time.DateOnly) + "}]\n")
			p.pass(time.Hour)
			p.run()
			p.status("Done")
			p.tells("closed as accepted")
			p.pass(12 * day)
			p.report(1, "HIGH")
			p.run()
			p.status("To Do")
			p.tells("reopened suppression legacy ended")
		}},
	}
}
