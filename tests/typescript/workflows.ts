import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type * as activities from './activities';
import { parkable, type Event } from './hookyard';

const { reserveStock } = proxyActivities<typeof activities>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '1s', backoffCoefficient: 1, maximumAttempts: 2 },
});

/** The part of Shopify's payload that is of use here. */
interface Order {
  id: number;
  line_items: { sku: string; quantity: number }[];
}

/** Reserves what was ordered. The name of the function is the Workflow Type. */
export async function orderCreated(event: Event, order: Order): Promise<{ order: number; reserved: number }> {
  const key = `${event.source}:${event.id}:reserveStock`;
  const reserved = await parkable('reserveStock', () => reserveStock(key, order.line_items));
  return { order: order.id, reserved };
}

/** Does not park: an error closes the run as failed, and nobody is asked. */
export async function orderCancelled(event: Event, order: Order): Promise<void> {
  throw ApplicationFailure.nonRetryable(`order ${order.id} of ${event.source} has no refund`, 'NoRefund');
}
