package routing

// Update is set if the expected output under testdata is to be rewritten.
var Update = update

// EachAlertmanager runs a test with each Alertmanager.
var EachAlertmanager = eachAlertmanager
