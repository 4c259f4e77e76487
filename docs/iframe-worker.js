// Lets the search of the site run where it is opened as files: there a browser
// starts no worker, so its program runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "Search";
      document.body.append(frame);
      const inside = frame.contentWindow;
      // What the program posts goes to whoever made the worker.
      inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      const program = inside.document.createElement("script");
      program.src = new URL(url, location.href).href;
      this.started = new Promise((done) => (program.onload = done));
      this.deliver = (data) =>
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      inside.document.body.append(program);
    }

    async postMessage(data) {
      await this.started;
      this.deliver(data);
    }
  };
}
