#include "keeper/manage_int.h"

void manage_status(struct manage_op *op)
{
	struct msg_status status = {0};

	keeper_status(op->k, &status);
	manage_send(op, MSG_STATUS, &status);
	manage_finish(op);
}
