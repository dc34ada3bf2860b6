package config

import (
	"slices"
	"strings"
)

// Queue is a Task Queue besides Temporal.TaskQueue, or the rates of that one.
type Queue struct {
	Name string
	// PerSecond is how many Activities of the queue are started in a second, by
	// all workers together; 0 for no limit.
	PerSecond float64
	// Concurrent is how many Activities of the queue one worker runs at once; 0
	// for Temporal's default, 1000.
	Concurrent int
	// External is set where the workers of another program poll the queue.
	External bool
}

func (d *decoder) queues(to *[]Queue) func(value) {
	return func(v value) {
		entries, ok := d.entries(v, "a mapping from Task Queues to their rates")
		if ok && len(entries) == 0 {
			d.mistake(v, "none given; leave it out")
		}
		for _, entry := range entries {
			q := Queue{Name: entry.name()}
			d.checkTaskQueue(entry, q.Name)
			has := d.fields(entry, []field{
				{"per_second", d.perSecond(&q.PerSecond, "a number of Activities")},
				{"concurrent", func(v value) {
					if n, ok := d.whole(v); ok {
						q.Concurrent = n
					}
				}},
				{"external", d.only(&q.External)},
			})
			if q.External && len(has) > 1 {
				d.mistake(entry, "the workers of another program poll it, so its rates are theirs; remove external, or the rates")
			}
			*to = append(*to, q)
		}
	}
}

// checkQueues finds Activities on a queue that nobody polls, and notes routes to
// one: another program may poll it.
func (d *decoder) checkQueues(c *Config) {
	declared := []string{c.Temporal.TaskQueue}
	for _, q := range c.Queues {
		if q.External && q.Name == c.Temporal.TaskQueue {
			d.report(1, nil, "queues: %s is this program's own task_queue, so it cannot be external", quote(q.Name))
		}
		declared = append(declared, q.Name)
	}
	for _, at := range d.activityQueues {
		if queue := at.node.Value; !slices.Contains(declared, queue) {
			d.mistake(at, "nobody polls the Task Queue %s; add queues: {%s: {}} with the rates that it needs%s", quote(queue), queue, Suggest(queue, declared[1:]))
		}
	}
	for _, at := range d.routeQueues {
		if queue := at.node.Value; !slices.Contains(declared, queue) {
			d.warn(at, "no queues: entry has the Task Queue %s, so no worker with this config polls it; add queues: {%s: {}}, or {%s: {external: true}} where another program does", quote(queue), queue, queue)
		}
	}
}

func (d *decoder) warn(v value, format string, args ...any) {
	before := len(d.mistakes)
	if d.mistake(v, format, args...); len(d.mistakes) > before {
		d.warnings = append(d.warnings, d.mistakes[before])
		d.mistakes = d.mistakes[:before]
	}
}

// taskQueue reads the queue of a route.
func (d *decoder) taskQueue(to *string) func(value) {
	return func(v value) {
		queue, ok := d.text(v, "the name of a Task Queue")
		if ok && d.checkTaskQueue(v, queue) {
			*to = queue
			d.routeQueues = append(d.routeQueues, v)
		}
	}
}

// activityQueue reads the queue of an Activity.
func (d *decoder) activityQueue(to *string) func(value) {
	return func(v value) {
		queue, ok := d.text(v, "the name of a Task Queue")
		if ok && d.checkTaskQueue(v, queue) {
			*to = queue
			d.activityQueues = append(d.activityQueues, v)
		}
	}
}

func (d *decoder) checkTaskQueue(v value, queue string) bool {
	const longest = 200 // Temporal's schemas store 255 bytes, with a prefix for a partition
	switch {
	case strings.HasPrefix(queue, "/_sys/"):
		d.mistake(v, "%s starts with /_sys/, which Temporal keeps for itself; choose another name", quote(queue))
	case len(queue) > longest:
		d.mistake(v, "the name has %d bytes; Temporal takes %d", len(queue), longest)
	default:
		return true
	}
	return false
}

func (d *decoder) perSecond(to *float64, want string) func(value) {
	return func(v value) {
		const most = 1e6 // far above what one server takes, and safe to round
		n, ok := d.number(v, want)
		switch {
		case !ok:
		case n <= 0 || n > most:
			d.mistake(v, "want a number above 0 and at most %d, found %s", int(most), v.node.Value)
		default:
			*to = n
		}
	}
}
