/** Reads server-sent events, as the HTML standard defines them, from a stream of bytes. */

/** The events of a stream, each `{event, id, data}`; comments are skipped. */
export async function* eventsIn(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = ''; // the received part of an incomplete event
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r?\n\r?\n/);
      rest = parts.pop();
      for (const part of parts) {
        const event = eventOf(part);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // the consumer may stop before the end of the stream
  }
}

/** One event; null if all lines are comments. */
function eventOf(text) {
  const fields = { event: 'message', id: undefined, data: [] };
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
    if (name === 'data') fields.data.push(value);
    else if (name) fields[name] = value;
  }
  return fields.data.length ? { ...fields, data: fields.data.join('\n') } : null;
}
