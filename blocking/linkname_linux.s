// Functions without a body, which are the runtime's, need a file such as this.
