/**
 * What a replica of a Deployment runs in the lab: a web server that greets and says where it runs.
 * @module
 */
import { createServer } from 'node:http';

const [addresses, port, node, pod] = process.argv.slice(2) as [string, string, string, string];
for (const address of addresses.split(','))
  createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'x-node': node, 'x-pod': pod, connection: 'close' });
    response.end('hello-world\n');
  }).listen(Number(port), address);
