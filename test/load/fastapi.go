package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed fastapi/app.py
var fastAPI []byte

// sklearn returns the script and the trained comparison model. Training takes minutes, so the model is kept from run to run beside the work folder.
func (b *bench) sklearn(ctx context.Context) (script, model string, err error) {
	script = filepath.Join(b.work, "app.py")
	if err := os.WriteFile(script, fastAPI, 0o600); err != nil {
		return "", "", err
	}
	if out, err := exec.CommandContext(ctx, b.python, "-c", "import fastapi, uvicorn, sklearn").CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("the comparison needs the Debian packages python3-fastapi python3-uvicorn python3-sklearn: %w\n%s", err, out)
	}
	model = filepath.Join(filepath.Dir(b.work), "sklearn-it_tickets.joblib")
	if _, err := os.Stat(model); err == nil {
		return script, model, nil
	}
	input, err := b.dataFile("it_tickets/train.jsonl.gz")
	if err != nil {
		return "", "", err
	}
	fmt.Fprintln(os.Stderr, "  training the scikit-learn model (once)")
	if out, err := exec.CommandContext(ctx, b.python, script, "train", input, model).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("train with scikit-learn: %w\n%s", err, out)
	}
	return script, model, nil
}

// startFastAPI starts one variant and waits until it listens.
func (b *bench) startFastAPI(ctx context.Context, script, model, variant string) (*peer, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	port := ln.Addr().(*net.TCPAddr).Port
	if err := ln.Close(); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.python, script, "serve", model, strconv.Itoa(port), variant)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{addr: addr, cmd: cmd}
	for range 1200 {
		if c, err := dialREST(ctx, addr); err == nil {
			return p, c.conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.stop()
	return nil, errors.New("the FastAPI server does not listen")
}

func measureFastAPI(ctx context.Context, b *bench) error {
	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	script, model, err := b.sklearn(ctx)
	if err != nil {
		return err
	}
	for _, v := range []struct {
		variant, what string
		figure        float64
	}{{"stock", "stock (`def` endpoint)", 35}, {"tuned", "tuned (`async def`, Fortran-ordered coefficients)", 7}} {
		other, err := b.startFastAPI(ctx, script, model, v.variant)
		if err != nil {
			return err
		}
		ours, theirs := &meter{pid: s.server.PID()}, &meter{pid: other.pid()}
		c, err := b.compare(ctx,
			rest(routePath, s.server.HTTP, s.server.Key, s.texts, ours),
			rest("/route", other.addr, "", s.texts, theirs))
		other.stop()
		if err != nil {
			return err
		}
		b.table.atLeast("REST against FastAPI + scikit-learn, 16 callers, "+v.what, c.ratio(), v.figure, c.basis("REST", "FastAPI")+cost(ours, theirs), command("fastapi"))
	}
	return nil
}
