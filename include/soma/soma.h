// All of Soma.
#pragma once

#include "soma/data.h"
#include "soma/error.h"
#include "soma/gradcheck.h"
#include "soma/gradient.h"
#include "soma/graph.h"
#include "soma/inspect.h"
#include "soma/io.h"
#include "soma/layers.h"
#include "soma/model.h"
#include "soma/network.h"
#include "soma/nn.h"
#include "soma/optim.h"
#include "soma/plan.h"
#include "soma/tensor.h"
#include "soma/train.h"
#include "soma/version.h"
