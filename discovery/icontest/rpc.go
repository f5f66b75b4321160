package icontest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Error codes of goloop's server/jsonrpc. SCORE errors are -30000 minus the
// status of the call.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeMethodNotFound = -32601
	codeInvalidParams  = -32602
	codeNotFound       = -31004

	codeUnknownFailure   = -30001
	codeContractNotFound = -30002
	codeScoreMethod      = -30003
	codeInvalidParameter = -30006
	codeInvalidInstance  = -30007
)

// An rpcError is the error member of a response.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func invalidRequest(why string) *rpcError {
	return &rpcError{Code: codeInvalidRequest, Message: "InvalidRequest: " + why}
}

func invalidParams(why string) *rpcError {
	return &rpcError{Code: codeInvalidParams, Message: "InvalidParams: " + why}
}

func notFound(why string) *rpcError {
	return &rpcError{Code: codeNotFound, Message: "NotFound: " + why}
}

func scoreError(code int, why string) *rpcError {
	return &rpcError{Code: code, Message: fmt.Sprintf("SCOREError(%d): %s", code, why)}
}

// A request is one call. Keys that are not here are an error.
type request struct {
	Version string          `json:"jsonrpc"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
	ID      any             `json:"id"`
}

// A response carries either Result, which may be the JSON null, or Error.
type response struct {
	Version string          `json:"jsonrpc"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
	ID      any             `json:"id"`
}

// callParams are the params of icx_call.
type callParams struct {
	From     string          `json:"from,omitempty"`
	To       string          `json:"to"`
	DataType string          `json:"dataType"`
	Data     json.RawMessage `json:"data"`
	Height   string          `json:"height,omitempty"`
}

var (
	userAddress     = regexp.MustCompile(`^hx[0-9a-f]{40}$`)
	contractAddress = regexp.MustCompile(`^cx[0-9a-f]{40}$`)
	hexInteger      = regexp.MustCompile(`^0x(0|[1-9a-f][0-9a-f]*)$`) // goloop's T_INT
)

func (r *request) validate() error {
	switch {
	case r.Version == "":
		return errors.New("fail to validate, required('jsonrpc')")
	case r.Version != "2.0":
		return errors.New("fail to validate, version('jsonrpc')")
	}
	switch r.ID.(type) {
	case nil, string, float64:
		return nil
	}
	return errors.New("fail to validate, id('id')")
}

func (p *callParams) validate() error {
	switch {
	case p.From != "" && !userAddress.MatchString(p.From):
		return errors.New("fail to validate, t_addr_eoa('from')")
	case p.To == "":
		return errors.New("fail to validate, required('to')")
	case !contractAddress.MatchString(p.To):
		return errors.New("fail to validate, t_addr_score('to')")
	case p.DataType == "":
		return errors.New("fail to validate, required('dataType')")
	case p.DataType != "call":
		return errors.New("fail to validate, call('dataType')")
	case p.Height != "" && !hexInteger.MatchString(p.Height):
		return errors.New("fail to validate, t_int('height')")
	}
	return nil
}

// decodeStrict decodes one JSON object into v and refuses unknown keys, with
// goloop's texts. what names the object for when it isn't one.
func decodeStrict(data []byte, v any, what string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		return nil
	}
	why := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "json: "), `"`, "'")
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		why = what + " must be object type"
		if wrong.Field != "" {
			why = fmt.Sprintf("'%s' must be %s type", wrong.Field, wrong.Type)
		}
	}
	return errors.New("fail to unmarshal, " + why)
}
