package app

import (
	"context"
	"time"
)

// secretLook is how often the files of secrets are looked at while a sink refuses our credentials.
const secretLook = 2 * time.Second

// watchSecrets reloads once the file of a secret holds another one while a sink is stopped, so that
// whoever rotates a token need not tell docket. Nothing else of the configuration is taken over by the way: where that
// was changed too, somebody has to ask for the reload.
func (a *App) watchSecrets(ctx context.Context) error {
	every := time.NewTicker(secretLook)
	defer every.Stop()
	told := false
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		if a.o.Load == nil || len(a.stopped()) == 0 || !a.Graph().Config.SecretFilesChanged() {
			continue
		}
		next, err := a.o.Load()
		if err == nil && next.Hash() == a.Graph().Config.Hash() {
			a.o.Log.Info("the file of a secret changed while a sink is stopped: reloading", "component", "secrets")
			err = a.Reload(ctx)
			told = false
		} else if !told {
			a.o.Log.Warn("the file of a secret changed, and the configuration as well: reload it to go on", "component", "secrets", "err", err)
			told = true
			continue
		}
		if err != nil && ctx.Err() == nil {
			a.o.Log.Error("reloading", "component", "secrets", "err", err)
		}
	}
}
