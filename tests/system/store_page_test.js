/*
 * The web page over restarts of a chatd with a store: who has it open sees what
 * was said, before and after, once, without loading it again; who comes later
 * sees it, too.
 */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {Daemon, freePort, until} = require('./daemon.js');
const {browse, connected, say, shows} = require('./page.js');
const {Archive, rules} = require('../fault/archive.js');

const CONF = rules('*', '\tstore yes\n') + rules('lobby', '\tstore yes\n') +
    'channel "#*" {\n\thistory 100\n\trecovery yes\n\tstore yes\n}\n';

/* Between two of them: how the first ends. */
const ENDS = {
	'a restart': (d) => d.stop('SIGTERM', 15000),
	'the death of all processes': (d) => d.kill()
};

group('page, stored', null, (test) => {
	for (const [what, end] of Object.entries(ENDS))
		test(what, () => browse(async (open) => {
			const archive = new Archive(), port = await freePort();
			const conf = archive.conf() + CONF;
			try {
				let d = await Daemon.start({conf, port, workers: 2});
				const alice = await open('Alice', port,
				    {broken: true});
				const bob = await open('Bob', port, {broken: true});
				for (const page of [alice, bob]) {
					await page.fill('#room', 'design');
					await page.press('#room', 'Enter');
				}
				await say(alice, 'before');
				await say(bob, 'it stops');
				await shows(alice, ['before', 'it stops']);
				await shows(bob, ['before', 'it stops']);
				await archive.whole(d);
				await end(d);
				await until('alice knows', async () =>
				    !await alice.$('#state.connected'), 10000);
				/* what is written meanwhile is sent then */
				await alice.fill('#text', 'meanwhile');
				await alice.press('#text', 'Enter');
				d = await Daemon.start({conf, port, workers: 2});
				await connected(alice);
				await connected(bob);
				await say(bob, 'after').catch(() => {});
				await until('it is there', async () => {
					await archive.whole(d);
					return archive.count('design') === 4;
				}, 15000);
				const all = archive.judge('design').map((m) =>
				    JSON.parse(m.data).text);
				assert.deepEqual(all.slice(0, 2),
				    ['before', 'it stops']);
				assert.deepEqual([...all].sort(), ['after', 'before',
				    'it stops', 'meanwhile']);
				const carol = await open('Carol', port,
				    {broken: true});
				await carol.fill('#room', 'design');
				await carol.press('#room', 'Enter');
				for (const page of [alice, bob, carol])
					await shows(page, all);
				await d.stop('SIGTERM', 15000);
			} finally {
				await Daemon.killAll();
				archive.remove();
			}
		}), {limit: 90000});
});
