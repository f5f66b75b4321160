package reload

import "io/fs"

// Live returns the files of the live release in an output_dir, nil if there is none. Whoever publishes it may be
// another process.
func Live(outputDir string) fs.FS { return (&store{dir: outputDir}).live() }
