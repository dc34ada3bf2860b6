package provider

import (
	"slices"
	"strings"
	"time"
)

// hubspotV3 signs method, URL, body and time, with twelve of the URL's escapes
// decoded. HubSpot signs every attempt anew, so an old time means a replay.
func hubspotV3() Scheme {
	return timedMAC{
		header: "X-HubSpot-Signature-v3", encoding: "base64",
		timestamp: "X-HubSpot-Request-Timestamp", unit: "ms", tolerance: 5 * time.Minute,
		content: func(d *Delivery, timestamp string) ([]byte, error) {
			return slices.Concat([]byte(d.Method), []byte(hubspotURL(d.URL)), d.Body, []byte(timestamp)), nil
		},
	}
}

// hubspotURL decodes the escapes that HubSpot's documentation lists, once and
// no others.
func hubspotURL(u string) string {
	return strings.NewReplacer(
		"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$",
		"%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	).Replace(u)
}
