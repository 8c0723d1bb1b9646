"""Why it takes so long: instructions, bytecodes, disassembly."""
