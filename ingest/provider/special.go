package provider

// special returns the constructor of a scheme that is written in Go, because
// no parameters describe it; known lists the names there are. Each has a file
// special_NAME.go.
func special(name string) (construct func() Scheme, known []string) {
	schemes := map[string]func() Scheme{
		"adyen-payments":   func() Scheme { return adyenPayments{} },
		"aws-sns":          func() Scheme { return awsSNS{} },
		"contentful":       func() Scheme { return contentful{} },
		"hook0":            func() Scheme { return hook0{} },
		"hubspot-v3":       func() Scheme { return hubspotV3{} },
		"lark":             func() Scheme { return lark{} },
		"livekit":          func() Scheme { return livekit{} },
		"mailgun":          func() Scheme { return mailgun{} },
		"mandrill":         func() Scheme { return mandrill{} },
		"messagebird-hmac": func() Scheme { return messagebirdRequests{} },
		"messagebird-jwt":  func() Scheme { return messagebirdTokens{} },
		"microsoft-graph":  func() Scheme { return microsoftGraph{} },
		"paypal":           func() Scheme { return paypal{} },
		"plaid":            func() Scheme { return plaid{} },
		"plivo-v2":         newPlivoV2,
		"plivo-v3":         newPlivoV3,
		"twilio":           func() Scheme { return twilio{} },
		"unisender-go":     func() Scheme { return unisenderGo{} },
	}
	return schemes[name], sortedKeys(schemes)
}
