package config

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNoMessageHoldsASecret plants literal secrets at every secret's place and in
// blocks, damages the file in many ways, and looks for them in all that is printed.
func TestNoMessageHoldsASecret(t *testing.T) {
	const whole = `nats:
  url: nats://a:4222
  creds: hunter2
server:
  auth:
    tokens: [{name: ci, role: ingest, token: hunter2}, {name: two, role: admin, token: "hunter2"}]
    oidc:
      issuer: https://login.example.com
      client_id: docket
      client_secret: |
        hunter2
sources:
  - {name: reports, type: file, paths: [a], auth: {user: x, token: hunter2}}
  - name: hub
    type: securityhub
    api_key: 'hunter2'
sinks:
  - {name: disk, type: file, auth: {user: x, token: [hunter2]}, poll: 5m}
teams: [{name: sec, sinks: {disk: {project: PAY}}}]
route: {team: sec, sinks: [disk]}
`
	random := rand.New(rand.NewPCG(1, 2))
	const noise = ":[]{}\"'&*!|>-#,\n\t x"
	for range 3000 {
		text := []byte(whole)
		for range 1 + random.IntN(2) {
			at := random.IntN(len(text))
			if near(text, at) {
				continue // what tears the secret itself apart cannot be found again
			}
			switch random.IntN(3) {
			case 0:
				text = append(text[:at], text[at+1:]...)
			case 1:
				text[at] = noise[random.IntN(len(noise))]
			default:
				text = append(text[:at], append([]byte{noise[random.IntN(len(noise))]}, text[at:]...)...)
			}
		}
		c, err := Parse([]File{{"docket.yaml", text}}, ".", testEnv())
		for _, s := range c.Sources {
			err = Join(err, s.Block.Decode(&blockSample{}))
		}
		for _, s := range c.Sinks {
			err = Join(err, s.Block.Decode(&blockSample{}))
		}
		var out bytes.Buffer
		if err := asErrors(t, err).Render(&out); err != nil {
			t.Fatal(err)
		}
		if err := c.Warnings().Render(&out); err != nil {
			t.Fatal(err)
		}
		if err := c.Show(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Fatalf("the messages about\n%s\nhold the secret:\n%s", text, out.String())
		}
	}
}

// near reports whether position at touches a planted secret.
func near(text []byte, at int) bool {
	from, to := max(0, at-len("hunter2")-2), min(len(text), at+len("hunter2")+2)
	return bytes.Contains(text[from:to], []byte("hunter2"))
}
