package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const restCallers = 16

// restCaller is a lean HTTP/1.1 client of one kept connection: the measured servers share the machine with their callers, so what
// the callers take should be little and alike.
type restCaller struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialREST(ctx context.Context, addr string) (*restCaller, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &restCaller{conn, bufio.NewReaderSize(conn, 16<<10)}, nil
}

// send writes a finished request and reads the whole answer, which must be a success.
func (c *restCaller) send(request []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		return errors.Join(fmt.Errorf("HTTP %d: %.300s", resp.StatusCode, body), err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// restRequests returns one finished request for each text.
func restRequests(path, addr, key string, texts []string) ([][]byte, error) {
	var all [][]byte
	for _, t := range texts {
		body, err := json.Marshal(map[string]string{"deployment": recordAsync, "subject": "", "body": t})
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Appendf(nil,
			"POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n%s",
			path, addr, key, len(body), body))
	}
	return all, nil
}

// rest calls a path from 16 callers, each with a connection of its own that lives for the window.
func rest(path, addr, key string, texts []string, m *meter) side {
	return m.measure(func(ctx context.Context, window time.Duration) (float64, error) {
		all, err := restRequests(path, addr, key, texts)
		if err != nil {
			return 0, err
		}
		callers := make([]*restCaller, restCallers)
		for i := range callers {
			if callers[i], err = dialREST(ctx, addr); err != nil {
				return 0, err
			}
			defer func() { _ = callers[i].conn.Close() }()
		}
		return call(ctx, restCallers, window, func(_ context.Context, worker int, i int64) error {
			return callers[worker].send(all[(int64(worker)*7919+i)%int64(len(all))])
		})
	})
}

const routePath = "/v1/routing/inquiries:route"

func measureREST(ctx context.Context, b *bench) error {
	s, err := b.product(ctx)
	if err != nil {
		return err
	}
	other, err := b.startPeer(ctx, "http", s.answer)
	if err != nil {
		return err
	}
	defer other.stop()
	ours, theirs := &meter{pid: s.server.PID()}, &meter{pid: other.pid()}
	c, err := b.compare(ctx,
		rest(routePath, s.server.HTTP, s.server.Key, s.texts, ours),
		rest(routePath, other.addr, s.server.Key, s.texts, theirs))
	if err != nil {
		return err
	}
	basis := c.basis("REST", "bare net/http handler") + cost(ours, theirs)
	b.table.atLeast("the same over REST, 16 callers, record async", c.ratio(), 0.50, basis, command("rest"))
	return nil
}
