//go:build !linux

package targets

import "errors"

func enterNetns(path string) error {
	if path == "" {
		return nil
	}
	return errors.New("only Linux has network namespaces")
}
