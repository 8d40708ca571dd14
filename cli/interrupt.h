// Ctrl-C ends a training after the step that runs, so that what was learned can be saved.
#pragma once

namespace soma::cli {

/// From now on the first interrupt only raises a flag; a second one, not sent together with it,
/// ends the program at once.
void catch_interrupt();
bool interrupted();

}  // namespace soma::cli
