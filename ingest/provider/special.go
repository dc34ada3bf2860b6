package provider

// builtinSchemes are the schemes that are written in Go, because no parameters
// describe them, by the name that a file gives under signature.scheme. Each has
// a file special_NAME.go. A team adds its own with Catalog.AddSchemes.
func builtinSchemes() map[string]Scheme {
	return map[string]Scheme{
		"adyen-payments":   adyenPayments{},
		"apple-app-store":  appleAppStore{root: appleRootG3},
		"aws-sns":          awsSNS{},
		"braintree":        braintree{},
		"contentful":       contentful(),
		"convoy":           convoy{},
		"google-pubsub":    googlePubSub{},
		"hook0":            hook0{},
		"hubspot-v3":       hubspotV3(),
		"lark":             lark{},
		"livekit":          livekit{},
		"mailgun":          mailgun{},
		"mandrill":         mandrill{},
		"mercadopago":      mercadopago{},
		"messagebird-hmac": messagebirdRequests(),
		"messagebird-jwt":  messagebirdTokens{},
		"microsoft-graph":  microsoftGraph{},
		"monday":           monday{},
		"paypal":           paypal{},
		"plaid":            plaid{},
		"plivo-v2":         plivo{version: "V2", content: plivoV2Content},
		"plivo-v3":         plivo{version: "V3", content: plivoV3Content},
		"recurly":          recurly{},
		"twilio":           twilio{},
		"unisender-go":     unisenderGo{},
	}
}
