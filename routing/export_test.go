package routing

// Golden compares a text with a file below testdata.
var Golden = golden

// EachAlertmanager runs a test with each Alertmanager.
var EachAlertmanager = eachAlertmanager
