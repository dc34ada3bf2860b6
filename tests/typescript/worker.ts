import { NativeConnection, Worker } from '@temporalio/worker';
import * as activities from './activities';

async function main() {
  const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
  const worker = await Worker.create({
    connection,
    taskQueue: 'orders', // as the route says
    workflowsPath: require.resolve('./workflows'),
    activities,
  });
  await worker.run();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
