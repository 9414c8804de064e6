package console

import "context"

// promiseView is the live promise of a deployment, ready to be shown.
type promiseView struct {
	Statement string
}

func (c *Console) promises(context.Context, *session) (map[deploymentRef]*promiseView, string) {
	return nil, ""
}

func (c *Console) promise(context.Context, *session, deploymentRef) (*promiseView, string) {
	return nil, ""
}
