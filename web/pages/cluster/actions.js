/** The dialogs for changes to the cluster; each explains what it does first. */
import { html, nothing } from '../../vendor/lit-html.js';
import { cluster, tokens } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { impact, verdict } from './quorum.js';
import { showSecret } from '../../components/secret.js';
import { toastDone } from '../../components/ui.js';

const LOST_QUORUM = 'would_lose_quorum';
const leads = (node, data) => node.id === data.leaderId;
const here = (node, data) => (node.id === data.nodeId
  ? html`<p>This page is served by ${node.id}. It goes on at another node if it can.</p>` : nothing);
const handsOver = (node, data) => (leads(node, data)
  ? html`<p>${node.id} is the leader. Another node takes over first;
    writes wait for a moment.</p>` : nothing);

/** By the name of the action. */
const DIALOGS = {
  promote: {
    label: 'Make leader',
    title: (node) => `Make ${node.id} the leader?`,
    text: (node, data) => html`<p>${data.leaderId ? `Leadership moves from ${data.leaderId} to ${node.id}.`
      : `${node.id} becomes the leader.`} Writes wait for a moment while it does.</p>`,
    done: (node) => `${node.id} was asked to lead.`,
  },
  resume: {
    label: 'Resume',
    text: (node) => html`<p>${node.id} serves clients again.</p>`,
    done: (node) => `${node.id} resumed.`,
  },
  pause: {
    label: 'Pause',
    text: (node, data) => html`<p>${node.id} refuses clients until you resume it.
      It keeps its data and goes on voting.</p>${handsOver(node, data)}`,
    done: (node) => `${node.id} paused.`,
  },
  restart: {
    label: 'Restart',
    text: (node, data) => html`<p>The process of ${node.id} ends and starts again.
      It catches up by itself.</p>${handsOver(node, data)}${here(node, data)}`,
    done: (node) => `${node.id} restarts.`,
  },
  stop: {
    label: 'Stop',
    danger: true,
    force: true,
    preview: true,
    text: (node, data) => html`<p>The process of ${node.id} ends.
      It stays a member and must be started on its own machine.</p>
      ${handsOver(node, data)}${here(node, data)}`,
    done: (node) => `${node.id} stops.`,
  },
  remove: {
    label: 'Remove',
    danger: true,
    force: true,
    typed: true,
    preview: true,
    call: cluster.deregister,
    text: (node, data) => html`<p>${node.id} leaves the cluster for good.
      Its data stays on its disk but no longer counts.</p>${handsOver(node, data)}`,
    done: (node) => `${node.id} leaves the cluster.`,
  },
};

/** Asks, then makes the change. Resolves when the dialog is closed, whatever the outcome. */
export async function act(name, node, data) {
  const action = DIALOGS[name];
  const call = action.call ?? cluster[name];
  const done = await openDialog({
    title: action.title?.(node) ?? `${action.label} ${node.id}?`,
    submitLabel: action.label,
    danger: action.danger,
    typed: action.typed ? node.id : undefined,
    force: action.force && { code: LOST_QUORUM, label: `${action.label} by force`, typed: node.id },
    body: () => [action.text(node, data), action.preview ? preview(data, name, node) : nothing],
    submit: ({ force }) => call(force ? { node: node.id, force } : { node: node.id }),
  });
  if (done) toastDone(action.done(node));
}

/** Asks for the address of a node and registers it. */
export async function addNode(data) {
  const done = await openDialog({
    title: 'Add a node',
    submitLabel: 'Add node',
    testid: 'add-dialog',
    body: () => html`
      <p>Start the new node first: it waits until it is registered here. It joins as a learner,
        catches up, and votes from then on.</p>
      <label>URL <input name="url" type="url" required autofocus placeholder="http://127.0.0.1:8084"
        pattern="https?://.+" title="http://host:port" data-testid="add-url"></label>
      <label>Description <span class="muted">optional</span>
        <input name="description" autocomplete="off" data-testid="add-description"></label>
      ${preview(data, 'add')}`,
    submit: ({ url, description }) =>
      cluster.register(description.trim() ? { url, description: description.trim() } : { url }),
  });
  if (done) toastDone('The node is registered and catches up now.');
}

const HOUR_MS = 3_600_000;
const HOURS = [[1, 'an hour'], [24, 'a day'], [168, 'a week']];

/** Makes a token with which a node can join, and shows the command that starts the node. */
export async function addToken(data) {
  const made = await openDialog({
    title: 'Make a join token',
    submitLabel: 'Make token',
    testid: 'join-token-dialog',
    body: () => html`
      <p>One new node can join with it without knowing the secret of the cluster, and without being added
        here.</p>
      <label>It holds for <select name="hours" data-testid="join-token-hours">${HOURS.map(([hours, text]) => html`
        <option value=${hours}>${text}</option>`)}</select></label>`,
    submit: ({ hours }) => tokens.createJoinToken({ expires_in_ms: Number(hours) * HOUR_MS }),
  });
  if (!made) return;
  const leader = data.nodes.find((node) => leads(node, data)) ?? data.nodes.find(({ id }) => id === data.nodeId);
  await showSecret('The join token', made.token, html`<p>Start the new node with it:</p>
    <pre tabindex="0" data-testid="join-token-command">jettradb --distributed --peers ${leader.url} --join-token ${made.token} --port 8080 --data-dir data</pre>
    <p class="muted">On another machine, add <code>--host</code> and <code>--advertise-url</code> with its
      address.</p>`);
}

function preview(data, action, node) {
  const { before, after } = impact(data.nodes, action, node);
  const row = (name, key) => html`<tr><th scope="row">${name}</th>
    <td data-testid="preview-${key}-before">${before[key]}</td>
    <td data-testid="preview-${key}-after"
      class=${before[key] === after[key] ? '' : 'changed'}>${after[key]}</td></tr>`;
  const { tone, text } = verdict(after);
  return html`
    <table class="preview" data-testid="quorum-preview">
      <thead><tr><th></th><th scope="col">Now</th><th scope="col">After</th></tr></thead>
      <tbody>${row('Voters', 'voters')}${row('Live voters', 'live')}
        ${row('Quorum', 'quorum')}${row('Failures tolerated', 'tolerates')}</tbody>
    </table>
    <p class="verdict ${tone}" data-testid="preview-verdict">${text}</p>`;
}
