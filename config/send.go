package config

import (
	"strconv"
	"time"
)

const day = 24 * time.Hour

// send reads the sending side.
func (d *decoder) send(to **Send) func(value) {
	return func(v value) {
		s := Send{Listen: "127.0.0.1:8082", DisableAfter: 5 * day, Keep: 30 * day, Origin: "hookyard"}
		has := d.fields(v, []field{
			{"listen", d.address(&s.Listen)},
			{"keys", d.secrets(&s.Keys, "name at least one, such as keys: [env:HOOKYARD_SEND_KEY]")},
			{"schedule", d.schedule(&s.Schedule)},
			{"disable_after", d.duration(&s.DisableAfter)},
			{"keep", d.duration(&s.Keep)},
			{"allow", d.prefixes(&s.Allow, "leave it out to send to public addresses alone")},
			{"deny", d.prefixes(&s.Deny, "leave it out to send to all public addresses")},
			{"ports", d.ports(&s.Ports)},
			{"proxy", d.secret(&s.Proxy)},
			{"mail", d.secret(&s.Mail)},
			{"origin", d.string(&s.Origin, "the name of who sends, such as events.example.com")},
		})
		if has == nil {
			return
		}
		if _, ok := has["keys"]; !ok {
			d.mistake(v, "no keys; add keys: [env:HOOKYARD_SEND_KEY], the operator's key of the API")
		}
		*to = &s
	}
}

// schedule reads the waits between attempts.
func (d *decoder) schedule(to *[]time.Duration) func(value) {
	return func(v value) {
		for _, item := range d.items(v, "waits such as 1m", "leave it out for the usual schedule") {
			var wait time.Duration
			d.duration(&wait)(item)
			*to = append(*to, wait)
		}
	}
}

func (d *decoder) ports(to *[]int) func(value) {
	return func(v value) {
		for _, item := range d.items(v, "ports such as 443", "leave it out for 443 alone") {
			n, err := strconv.ParseUint(item.node.Value, 10, 16)
			if err != nil || n == 0 {
				d.mistake(item, "want a port, 1 to 65535, found %s", quote(item.node.Value))
				continue
			}
			*to = append(*to, int(n))
		}
	}
}
