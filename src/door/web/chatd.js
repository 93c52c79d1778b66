/*
 * chatd: the page's script and a small client of the chat, in one module.
 *
 *	import {Client} from '/chatd.js';
 *
 *	const client = new Client(Client.address('alice'), {
 *		state(state, why) {},	// 'connecting', 'connected', 'closed'
 *		publication(channel, p) {},	// {data, offset, time, info}
 *		subscribed(channel, s) {},	// s.recovered, see below
 *		unsubscribed(channel, error) {},
 *		moved(channel, {join, leave}) {}	// who: join.info
 *	});
 *	client.connect();
 *	client.subscribe('lobby');
 *	await client.publish('lobby', {text: 'hello'});
 *	await client.history('lobby', {limit: 20, reverse: true});
 *	await client.rpc('message', {to: 'bob', data: {text: 'psst'}});
 *
 * It speaks Centrifugo's protocol in JSON (chatd-protocol(7)). A lost connection
 * is made again after a random time, and each channel goes on where it was:
 * `publication` is called once for every one, in order. Where that cannot be,
 * `subscribed` says lost. Calls answer a promise; it fails with an Error whose
 * `code` is the server's, or 0 if the connection went before the answer came.
 */

const RETRY_MS = 500, RETRY_MAX_MS = 15000; /* bounds of the random time */
const ANSWER_MS = 10000;                    /* for a reply, a connection */
const UNSURE_MS = 3000; /* for an answer when the network is in doubt */

/* An error with its code. */
function failure({code = 0, message = 'not connected', temporary = !code}) {
	return Object.assign(new Error(message), {code, temporary});
}

export class Client {
	/* The address here, under a name or (with a token) without. */
	static address(user) {
		return `${location.origin.replace('http', 'ws')}/connection/websocket` +
		    (user ? `?user=${encodeURIComponent(user)}` : '');
	}

	/* token: a function that answers a fresh one, or a promise of it. */
	constructor(url, handlers = {}, {token} = {}) {
		Object.assign(this, {url, handlers, token, state: 'closed',
		    id: null, channels: new Map(), calls: new Map(),
		    lines: [], serial: 0, tries: 0});
	}

	/* Connects, and again whenever the connection is lost. */
	async connect() {
		clearTimeout(this.timer);
		if (this.socket)
			return;
		this.tell('connecting');
		const socket = this.socket = new WebSocket(this.url);
		socket.onopen = () => this.greet().catch((error) =>
		    this.lost(socket, {code: error.code, reason: error.message}));
		socket.onmessage = ({data}) => this.frame(data);
		socket.onclose = (event) => this.lost(socket, event);
		this.alive(ANSWER_MS);
	}

	/* Ends the connection for good. */
	close() {
		this.lost(this.socket, {code: 3500, reason: ''});
	}

	/* Subscribes; goes on over lost connections until unsubscribe. */
	subscribe(channel, {token} = {}) {
		if (this.channels.has(channel))
			return;
		this.channels.set(channel, {token, server: false});
		if (this.state === 'connected')
			this.enter(channel);
	}

	unsubscribe(channel) {
		if (this.channels.delete(channel) && this.state === 'connected')
			this.call('unsubscribe', {channel}).catch(() => {});
	}

	publish(channel, data) {
		return this.call('publish', {channel, data});
	}

	/* {limit, since: {offset, epoch}, reverse} -> {publications, offset, epoch} */
	history(channel, page = {}) {
		return this.call('history', {channel, ...page});
	}

	/* -> {presence: {client: {user, ...}}} */
	presence(channel) {
		return this.call('presence', {channel});
	}

	/* -> what the method answers */
	async rpc(method, data) {
		return (await this.call('rpc', {method, data})).data;
	}

	/* Sends a command; those of one turn go in one frame. done gets the answer
	 * before what comes behind it is read. */
	call(name, parameters, done) {
		if (this.state !== 'connected' && name !== 'connect')
			return Promise.reject(failure({}));
		const id = ++this.serial;
		if (this.lines.push(JSON.stringify({id, [name]: parameters})) === 1)
			queueMicrotask(() => {
				if (this.socket?.readyState === WebSocket.OPEN)
					this.socket.send(this.lines.join('\n'));
				this.lines = [];
			});
		return new Promise((resolve, reject) =>
		    this.calls.set(id, {name, done, resolve, reject}));
	}

	/* Whether the connection still works; if not, it is made again. */
	check() {
		if (!this.socket && this.state === 'connecting')
			this.connect();
		else if (this.state === 'connected') {
			this.call('ping', {}).catch(() => {});
			this.alive(UNSURE_MS);
		}
	}

	/* The first command of a connection, then all subscriptions. */
	async greet() {
		const subs = {};
		for (const [channel, c] of this.channels)
			if (c.server)
				subs[channel] = this.position(c);
		await this.call('connect', {token: await this.token?.(), subs},
		    (r) => this.greeted(r));
	}

	greeted(r) {
		this.id = r.client;
		this.quiet = r.ping ? r.ping * 1000 + ANSWER_MS : 0;
		this.pong = r.pong;
		this.tries = 0;
		this.alive(this.quiet);
		this.tell('connected');
		for (const [channel, s] of Object.entries(r.subs ?? {})) {
			if (!this.channels.has(channel))
				this.channels.set(channel, {server: true});
			this.entered(channel, s);
		}
		for (const [channel, c] of this.channels)
			if (!c.server)
				this.enter(channel);
		if (r.expires && this.token)
			this.expiry = setTimeout(async () => this.call('refresh',
			    {token: await this.token()}).catch(() => {}),
			    r.ttl * 900);
	}

	/* Where the server is to go on with a channel. */
	position({epoch, offset}) {
		return epoch ? {recover: true, epoch, offset} : {};
	}

	/* Subscribes, or goes on with a channel. */
	async enter(channel) {
		const c = this.channels.get(channel);
		try {
			await this.call('subscribe', {channel, token: c.token,
			    ...this.position(c)}, (s) => this.entered(channel, s));
		} catch (error) {
			if (this.channels.get(channel) !== c || !error.code)
				return; /* the next connection will */
			if (error.temporary)
				setTimeout(() => this.state === 'connected' &&
				    this.enter(channel), RETRY_MS);
			else {
				this.channels.delete(channel);
				this.handlers.unsubscribed?.(channel, error);
			}
		}
	}

	/* A subscription begins or goes on: what was missed comes first. */
	entered(channel, s) {
		const c = this.channels.get(channel);
		if (!c)
			return;
		const lost = !!c.epoch && !s.recovered;
		if (lost)
			c.offset = 0;
		for (const p of s.publications ?? [])
			this.published(channel, c, p);
		c.epoch = s.epoch;
		c.offset = s.offset ?? 0;
		this.handlers.subscribed?.(channel, {recovered: !!s.recovered, lost,
		    epoch: c.epoch, offset: c.offset});
	}

	/* A publication that was not seen yet. */
	published(channel, c, p) {
		if (p.offset && p.offset <= c.offset)
			return;
		if (p.offset)
			c.offset = p.offset;
		this.handlers.publication?.(channel, p);
	}

	/* One frame: replies, pushes, and {}, which is a ping. */
	frame(text) {
		this.alive(this.state === 'connected' ? this.quiet : ANSWER_MS);
		for (const line of text.split('\n')) {
			const m = JSON.parse(line);
			if (m.push)
				this.pushed(m.push);
			else if (!m.id) {
				if (this.pong)
					this.socket?.send('{}');
			} else {
				const call = this.calls.get(m.id);
				this.calls.delete(m.id);
				if (m.error)
					call?.reject(failure(m.error));
				else {
					call?.done?.(m[call.name] ?? {});
					call?.resolve(m[call.name] ?? {});
				}
			}
		}
	}

	pushed({channel, pub, join, leave, unsubscribe}) {
		const c = this.channels.get(channel);
		if (!c)
			return;
		if (pub)
			this.published(channel, c, pub);
		else if (join || leave)
			this.handlers.moved?.(channel, {join, leave});
		else if (unsubscribe?.code >= 2500)
			this.enter(channel); /* there is a gap: fill it */
		else if (unsubscribe) {
			this.channels.delete(channel);
			this.handlers.unsubscribed?.(channel, failure(unsubscribe));
		}
	}

	/* Something was heard; within ms more must be. */
	alive(ms) {
		clearTimeout(this.watch);
		const {socket} = this;
		if (ms)
			this.watch = setTimeout(() => this.lost(socket,
			    {code: 0, reason: 'no answer'}), ms);
	}

	/* The connection is gone. From 3500 to 3999 the server means it. */
	lost(socket, {code, reason}) {
		if (socket !== this.socket)
			return;
		const final = (code >= 3500 && code < 4000) || code >= 4500;
		const calls = [...this.calls.values()];
		clearTimeout(this.watch);
		clearTimeout(this.expiry);
		clearTimeout(this.timer);
		this.socket = null;
		socket?.close();
		this.calls.clear();
		this.lines = [];
		if (!final)
			this.timer = setTimeout(() => this.connect(), Math.random() *
			    Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** this.tries++));
		this.tell(final ? 'closed' : 'connecting', reason);
		for (const call of calls)
			call.reject(failure({}));
	}

	tell(state, why = '') {
		this.state = state;
		this.handlers.state?.(state, why);
	}
}

/* ---- the page ---- */

const PAGE = 50;          /* messages of history at once */
const KEEP = 1000;        /* messages of a conversation held here */
const GROUP_MS = 300000;  /* messages so close together share a face */
const PEOPLE_MS = 10000;  /* who is here is asked so often */
const BOTTOM_PX = 60;     /* so near the end, the log follows */

const $ = (id) => document.getElementById(id);

/* An element with attributes and children; text becomes text nodes. */
function make(tag, attributes, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes))
		if (name === 'onclick')
			e.onclick = value;
		else
			e.setAttribute(name, value);
	e.append(...children);
	return e;
}

function span(className, ...children) {
	return make('span', {class: className}, ...children);
}

/* Gives an element the colour of a name. */
function tint(e, name) {
	let h = 7;
	for (const c of name)
		h = (h * 31 + c.codePointAt(0)) % 997;
	e.style.setProperty('--hue', h * 137 % 360);
	return e;
}

/* A face: a name's first letters on its colour. */
function face(name) {
	return tint(make('span', {class: 'face', 'aria-hidden': 'true'},
	    [...name].slice(0, 2).join('').toUpperCase()), name);
}

/* What is remembered for the next visit; a browser may forbid it. */
const memory = {
	get(key, otherwise) {
		try {
			return JSON.parse(localStorage[key]) ?? otherwise;
		} catch {
			return otherwise;
		}
	},
	set(key, value) {
		try {
			localStorage[key] = JSON.stringify(value);
		} catch {}
	}
};

/* The day of a message in words. */
function dayOf(at) {
	const day = new Date(at);
	return day.toDateString() === new Date().toDateString() ? 'Today' :
	    day.toLocaleDateString([], {dateStyle: 'full'});
}

/* The text of a publication; other programs' data is shown as it is. */
function textOf(data) {
	const text = data?.text ?? data;
	return typeof text === 'string' ? text : JSON.stringify(data);
}

/* A room or a private conversation. A message is {offset, at, from, own, text};
 * one's own stays in `outbox` until it comes back as a publication. */
class Place {
	constructor(key) {
		this.key = key;
		this.peer = key[0] === '@' ? key.slice(1) : null;
		Object.assign(this, {title: this.peer ?? key, messages: [],
		    outbox: [], unread: 0, read: 0, draft: '', present: null});
	}

	/* Puts a message in its place; false if it is there. */
	add(m) {
		let i = this.messages.length;
		while (i > 0 && this.messages[i - 1].offset > m.offset)
			i--;
		if (i > 0 && this.messages[i - 1].offset === m.offset && m.offset > 0)
			return false;
		this.messages.splice(i, 0, m);
		return true;
	}

	/* The message of ours that comes back as this publication, if any. */
	confirm(client, text) {
		const i = this.outbox.findIndex((m) =>
		    m.client === client && m.text === text);
		return i < 0 ? null : this.outbox.splice(i, 1)[0];
	}
}

class Page {
	constructor(name, token) {
		Object.assign(this, {me: name, places: new Map(), sources: new Map(),
		    marks: {}, reads: memory.get('read', {}), active: null});
		this.client = new Client(Client.address(token ? '' : name), {
			state: (state, why) => this.stateChanged(state, why),
			publication: (channel, p) => this.take(channel, p),
			subscribed: (channel, s) => this.subscribed(channel, s),
			unsubscribed: (channel, error) => this.refused(channel, error),
			moved: (channel) => this.countPeople(channel)
		}, {token: token && (() => token)});
		this.listen();
		for (const room of new Set(['lobby', ...memory.get('rooms', [])]))
			this.place(room);
		this.client.connect();
		this.open('lobby');
	}

	listen() {
		$('compose').onsubmit = (e) => (e.preventDefault(), this.say());
		$('text').onkeydown = (e) => {
			/* While a word is composed (229: Safari), Enter takes it. */
			if (e.key !== 'Enter' || e.shiftKey || e.isComposing ||
			    e.keyCode === 229)
				return;
			e.preventDefault();
			this.say();
		};
		$('text').oninput = () => this.fit();
		$('join').onsubmit = (e) => {
			e.preventDefault();
			this.open($('room').value.trim());
			$('room').value = '';
		};
		$('log').onscroll = () => this.scrolled();
		$('latest').onclick = () => this.toEnd();
		$('back').onclick = () => this.view('places');
		$('show-people').onclick = () => this.showPeople();
		$('hide-people').onclick = () => this.showPeople(false);
		$('leave').onclick = () => {
			memory.set('name', null);
			location.reload();
		};
		ononline = onoffline = () => this.client.check();
		document.onvisibilitychange = () => {
			if (!document.hidden)
				this.client.check();
			this.seen();
		};
		setInterval(() => document.hidden || this.countPeople(), PEOPLE_MS);
	}

	view(name) {
		$('chat').dataset.view = name;
		({places: $('places').querySelector('[aria-current]'), talk: $('title'),
		    people: $('people').querySelector('button')})[name]?.focus();
		this.seen();
	}

	showPeople(on = phone() || !('people' in $('chat').dataset)) {
		$('chat').toggleAttribute('data-people', on && !phone());
		$('show-people').setAttribute('aria-expanded', on);
		if (phone())
			this.view(on ? 'people' : 'talk');
	}

	/* The conversation of that key; a room is subscribed to. */
	place(key) {
		if (this.places.has(key))
			return this.places.get(key);
		const p = new Place(key);
		this.places.set(key, p);
		if (!p.peer) {
			this.client.subscribe(key);
			this.saveRooms();
		} else
			p.read = this.readOf(key, this.sources.get(`#${this.me}`)?.epoch);
		this.drawPlaces();
		return p;
	}

	saveRooms() {
		memory.set('rooms', [...this.places.values()].filter((p) => !p.peer)
		    .map((p) => p.key));
	}

	/* Where its publications come from. */
	channelOf(p) {
		return p.peer ? `#${this.me}` : p.key;
	}

	/* Up to where a conversation was read on the last visit. */
	readOf(key, epoch) {
		const [was, offset] = this.reads[key] ?? [];
		return was === epoch && offset || 0;
	}

	leave(p) {
		this.places.delete(p.key);
		if (!p.peer)
			this.client.unsubscribe(p.key);
		this.sources.delete(p.key);
		p.row.remove();
		this.saveRooms();
		this.drawPlaces();
		if (p === this.active)
			this.open('lobby', false);
	}

	open(key, show = true) {
		const p = this.place(key);
		if (this.active)
			this.active.draft = $('text').value;
		this.active = p;
		p.freshAfter = p.unread ? p.read : Infinity;
		$('text').value = p.draft;
		$('title').textContent = p.title;
		$('text-label').textContent = $('text').placeholder =
		    `Message to ${p.title}`;
		$('show-people').hidden = !!p.peer;
		if (p.peer)
			$('chat').removeAttribute('data-people');
		else if (innerWidth >= 1100)
			this.showPeople(true);
		if (show && chatView() !== 'talk')
			this.view('talk');
		this.fit();
		this.draw(false);
		this.toEnd();
		this.drawPlaces();
		this.drawPeople();
		this.countPeople();
		if (!phone())
			$('text').focus();
	}

	/* The text field is as high as its text. */
	fit() {
		const {style} = $('text');
		style.height = 'auto';
		style.height = `${$('text').scrollHeight + 2}px`;
	}

	say() {
		const text = $('text').value.trim(), p = this.active;
		if (!text)
			return;
		$('text').value = '';
		this.fit();
		const m = {at: Date.now(), from: this.me, own: true, text};
		p.outbox.push(m);
		this.send(p, m);
		this.toEnd();
	}

	/* Sends a message of the outbox, or lets it wait for the connection. */
	async send(p, m) {
		const {client} = this, ready = client.state === 'connected';
		Object.assign(m, {state: 'sending', client: ready ? client.id : null});
		this.changed(p);
		if (!ready)
			return;
		try {
			if (p.peer) {
				const {text} = m;
				await client.rpc('message', {to: p.peer, data: {text}});
				/* a copy for one's own other devices and next visit */
				if (p.peer !== this.me)
					client.rpc('message', {to: this.me,
					    data: {text, to: p.peer}}).catch(() => {});
			} else
				await client.publish(p.key, {text: m.text});
			m.state = 'sent';
		} catch (error) {
			if (error.code) {
				m.state = 'failed';
				m.why = error.message;
			} /* else the next connection tells what became of it */
		}
		this.changed(p);
	}

	/* A publication, as it comes or out of the history. */
	take(channel, p, old = false) {
		const from = p.info?.user ?? '', own = from === this.me;
		const text = textOf(p.data);
		const key = channel[0] !== '#' ? channel :
		    `@${own && p.data?.to || from}`;
		if (key === '@')
			return;
		const place = this.place(key);
		const m = own && place.confirm(p.info?.client, text) ||
		    {from, own, text};
		Object.assign(m, {offset: p.offset, at: p.time || Date.now(),
		    state: own ? 'sent' : undefined});
		if (!place.add(m))
			return;
		if (!own && m.offset > place.read)
			place.unread++;
		this.changed(place, old);
		this.seen();
	}

	/* A channel begins or goes on. */
	subscribed(channel, s) {
		if (channel[0] === '#')
			this.me ||= channel.slice(1); /* the token said who */
		const places = [...this.places.values()].filter((p) =>
		    this.channelOf(p) === channel);
		const source = this.sources.get(channel);
		if (!source || s.lost) {
			this.sources.set(channel, {epoch: s.epoch, oldest: 0});
			for (const p of places) {
				p.read = this.readOf(p.key, s.epoch) || (p.peer ? 0 : s.offset);
				if (source?.epoch !== s.epoch)
					for (const m of p.messages)
						m.offset = 0; /* they count anew */
				if (s.lost)
					p.add({offset: p.messages.at(-1)?.offset + .5 || 0,
					    notice: 'Some messages may be missing here.'});
			}
			this.older(channel);
		}
		/* What was on its way and has not come back was not accepted, where
		 * all that was is known; else the person decides. */
		for (const p of places)
			for (const m of [...p.outbox])
				if (m.state === 'sending' && m.client !== this.client.id) {
					if (!m.client || (s.recovered && !p.peer))
						this.send(p, m);
					else
						Object.assign(m, {state: 'failed',
						    why: 'It may not have arrived'});
				}
		for (const p of places)
			this.changed(p, true);
		this.countPeople(channel);
		$('me').textContent = this.me;
		$('me-face').replaceChildren(face(this.me));
	}

	/* A room that one may not be in. */
	refused(channel, {message}) {
		const p = this.place(channel);
		p.add({offset: 0, notice: `You cannot be here: ${message}.`});
		this.changed(p);
	}

	/* Loads a page of history in front of what is there. */
	async older(channel) {
		const s = this.sources.get(channel);
		if (!s || s.busy || s.done)
			return;
		s.busy = true;
		try {
			const {publications = []} = await this.client.history(channel,
			    {limit: PAGE, reverse: true, since: s.oldest ?
			    {offset: s.oldest, epoch: s.epoch} : undefined});
			s.oldest = publications.at(-1)?.offset ?? s.oldest;
			s.done = publications.length < PAGE || s.oldest === 1;
			for (const p of publications)
				this.take(channel, p, true);
		} catch (error) {
			s.done = !!error.code; /* nothing is kept there */
		}
		s.busy = false;
		if (this.channelOf(this.active) === channel)
			this.draw(false); /* and on, if that filled no screen */
	}

	changed(p, old = false) {
		if (p === this.active)
			this.draw(!old);
		if (p.messages.length > KEEP && this.atEnd())
			p.messages.splice(0, p.messages.length - KEEP);
		this.drawPlaces();
	}

	/* What is in sight has been read. */
	seen() {
		const p = this.active;
		if (!p || document.hidden || chatView() !== 'talk' || !this.atEnd())
			return;
		const last = Math.floor(p.messages.at(-1)?.offset ?? 0);
		if (!p.unread && last <= p.read)
			return;
		p.unread = 0;
		p.read = Math.max(p.read, last);
		this.reads[p.key] = [this.sources.get(this.channelOf(p))?.epoch, p.read];
		memory.set('read', this.reads);
		this.drawPlaces();
	}

	atEnd() {
		const log = $('log');
		return log.scrollHeight - log.scrollTop - log.clientHeight < BOTTOM_PX;
	}

	toEnd() {
		$('log').scrollTop = $('log').scrollHeight;
	}

	scrolled() {
		const end = this.atEnd(), p = this.active;
		$('latest').hidden = end;
		if (end)
			this.seen();
		if ($('log').scrollTop < 200)
			this.older(this.channelOf(p));
	}

	/* Brings the log up to date, touching only what differs: a screen reader
	 * hears what is new and nothing else. */
	draw(live) {
		const log = $('log'), p = this.active, end = this.atEnd();
		const anchor = [...log.querySelectorAll('.message')].find((e) =>
		    e.offsetTop + e.offsetHeight > log.offsetTop + log.scrollTop);
		const before = anchor?.offsetTop;
		const all = [...p.messages, ...p.outbox], nodes = [];
		let day = '', fresh = false;
		log.setAttribute('aria-live', live ? 'polite' : 'off');
		all.forEach((m, i) => {
			if (!m.notice && day !== dayOf(m.at))
				nodes.push(this.mark('day', day = dayOf(m.at)));
			if (!fresh && !m.own && m.offset > p.freshAfter) {
				fresh = true;
				nodes.push(this.mark('fresh', 'New'));
			}
			const node = this.messageNode(p, m);
			const apart = (a, b) => !a || !b || a.from !== b.from || b.notice ||
			    a.notice || Math.abs(b.at - a.at) > GROUP_MS;
			node.classList.toggle('first', apart(all[i - 1], m));
			node.classList.toggle('last', apart(m, all[i + 1]));
			nodes.push(node);
		});
		if (!all.length)
			nodes.push(this.mark('empty', p.peer ?
			    `What you write here only ${p.title} and you can read.` :
			    'Nothing has been said here yet.'));
		let at = log.firstChild;
		for (const node of nodes)
			if (node === at)
				at = at.nextSibling;
			else
				log.insertBefore(node, at);
		while (at) {
			const next = at.nextSibling;
			at.remove();
			at = next;
		}
		if (end)
			log.scrollTop = log.scrollHeight;
		else if (anchor?.isConnected)
			log.scrollTop += anchor.offsetTop - before;
		this.scrolled();
	}

	/* A line between messages, one of a text. */
	mark(kind, text) {
		return this.marks[text] ??= make('p', {class: kind}, text);
	}

	/* A message's element; the same one as long as it lives. */
	messageNode(p, m) {
		if (m.notice)
			return m.node ??= make('p', {class: 'notice'}, m.notice);
		if (!m.node) {
			const from = m.own || p.peer || !/^[^*]/.test(m.from) ?
			    span('from', m.own ? 'You' : m.from || 'Somebody') :
			    make('button', {class: 'from',
			    onclick: () => this.open(`@${m.from}`)}, m.from);
			m.time = make('time', {class: 'when'});
			m.node = make('div', {class: m.own ? 'message own' : 'message'},
			    tint(from, m.from), face(m.from || '?'), make('div',
			    {class: 'words'}, span('said', m.text), m.time));
		}
		const sending = m.state === 'sending', failed = m.state === 'failed';
		const when = new Date(m.at).toLocaleTimeString([], {timeStyle: 'short'});
		const note = sending ? 'sending…' : failed ? m.why :
		    m.own ? `${when} ✓` : when;
		if (m.time.textContent !== note) {
			m.time.textContent = note;
			m.node.classList.toggle('sending', sending || failed);
			m.node.querySelector('.again')?.remove();
			if (failed)
				m.node.append(make('button', {class: 'again',
				    onclick: () => this.send(p, m)}, 'Send again'));
		}
		return m.node;
	}

	drawPlaces() {
		let unread = 0;
		for (const p of this.places.values()) {
			unread += p.unread;
			p.button ??= make('button', {class: 'place',
			    onclick: () => this.open(p.key)}, p.peer ? face(p.title) :
			    span('hash', '#'), span('name', p.title));
			if (!p.row) {
				p.row = make('li', {}, p.button);
				if (p.key !== 'lobby')
					p.row.append(make('button', {class: 'icon close',
					    'aria-label': `Leave ${p.title}`,
					    onclick: () => this.leave(p)},
					    $('hide-people').firstElementChild.cloneNode(true)));
				$(p.peer ? 'private' : 'rooms').append(p.row);
			}
			p.button.ariaCurrent = p === this.active ? 'true' : null;
			if (p.shown !== p.unread) {
				p.shown = p.unread;
				p.button.querySelector('.badge')?.remove();
				if (p.unread)
					p.button.append(span('badge', p.unread,
					    span('unseen', ' unread')));
			}
		}
		$('private-none').hidden = $('private').firstChild;
		const elsewhere = unread - this.active?.unread;
		$('back-unread').hidden = !elsewhere;
		$('back-unread').textContent = elsewhere;
		document.title = (unread ? `(${unread}) ` : '') +
		    `${this.active?.title} · chatd`;
	}

	/* Asks who is in the room (of a private conversation: in the lobby). */
	async countPeople(channel) {
		const p = this.active, asked = p?.peer ? 'lobby' : p?.key;
		if (channel && channel !== asked)
			return;
		try {
			const {presence = {}} = await this.client.presence(asked);
			p.present = new Set(Object.values(presence)
			    .map(({user}) => user).filter(Boolean));
		} catch (error) {
			if (!error.code)
				return; /* soon again */
			p.present = null;
		}
		this.drawPeople();
	}

	drawPeople() {
		const {present, peer} = this.active, n = present?.size;
		$('subtitle').textContent = !present ? '' : peer ?
		    (present.has(peer) ? 'is here' : 'is away') :
		    n === 1 ? '1 person is here' : `${n} people are here`;
		const names = peer || !present ? [] : [...present].sort((a, b) =>
		    (b === this.me) - (a === this.me) || a.localeCompare(b));
		if (this.names === names.join('\n'))
			return;
		this.names = names.join('\n');
		$('present').replaceChildren(...names.map((name) => make('li', {},
		    name === this.me ?
		    make('div', {}, face(name), span('name', `${name} (you)`)) :
		    make('button', {onclick: () => this.open(`@${name}`)},
		    face(name), span('name', name)))));
	}

	stateChanged(state, why) {
		this.was ||= state === 'connected';
		const calm = state === 'connected' || !this.was && !why;
		$('state').textContent = {connected: 'Connected',
		    connecting: 'Connecting…', closed: 'Not connected'}[state];
		$('state').className = `quiet ${state}`;
		$('status').className = calm ? 'unseen' : '';
		$('status').textContent = calm ? $('state').textContent :
		    state === 'closed' ? `The server has ended the connection: ${why}` :
		    'No connection, trying again…';
	}
}

function phone() {
	return matchMedia('(max-width: 760px)').matches;
}

function chatView() {
	return phone() ? $('chat').dataset.view : 'talk';
}

/* Asks for a name unless one is remembered, then begins. */
function welcome() {
	const token = new URLSearchParams(location.hash.slice(1)).get('token');
	const begin = (name) => {
		$('welcome').hidden = true;
		$('chat').hidden = false;
		new Page(name, token);
	};
	if (token || memory.get('name'))
		return begin(token ? '' : memory.get('name'));
	$('welcome').hidden = false;
	$('name').focus();
	$('name').oninput = () => $('name').setCustomValidity(
	    new TextEncoder().encode($('name').value.trim()).length > 64 ?
	    'That name is too long.' : '');
	$('enter').onsubmit = (event) => {
		event.preventDefault();
		const name = $('name').value.trim();
		memory.set('name', name);
		begin(name);
	};
}

if (globalThis.document?.getElementById('chat'))
	welcome();
