/*
 * Who may use an object: its owner and all others, each to read or to write, by the
 * mode bits that Linux has, as a list of rights. (Windows knows no group that an object belongs to.)
 */
#include "win32.h"

#include <mapring/mapring.h>

#define OWNER_ALONE 0600u

/* What this process's token tells of its user. The SID lies in the buffer. */
static PSID token_sid(TOKEN_INFORMATION_CLASS what, union win32_sid *buffer)
{
    HANDLE token;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return NULL;
    DWORD size;
    BOOL told = GetTokenInformation(token, what, buffer, sizeof *buffer, &size);
    CloseHandle(token);
    if (!told)
        return NULL;
    return what == TokenOwner ? buffer->owner.Owner : buffer->user.User.Sid;
}

static bool grant(struct win32_access *access, PSID who, uint32_t bits)
{
    DWORD rights = (bits & 4) != 0 ? GENERIC_READ | GENERIC_EXECUTE : 0;
    if ((bits & 2) != 0)
        rights |= GENERIC_WRITE;
    return rights == 0 || AddAccessAllowedAce(&access->list.acl, ACL_REVISION, rights, who);
}

int32_t win32_access_of(uint32_t permissions, struct win32_access *access)
{
    uint32_t bits = permissions != 0 ? permissions : OWNER_ALONE;
    SID_IDENTIFIER_AUTHORITY world = {SECURITY_WORLD_SID_AUTHORITY};
    PSID user = token_sid(TokenUser, &access->user);
    PSID others = &access->others.sid;
    if (user == NULL || !InitializeSid(others, &world, 1))
        return MAPRING_SYSTEM_ERROR;
    *GetSidSubAuthority(others, 0) = SECURITY_WORLD_RID;
    if (!InitializeAcl(&access->list.acl, sizeof access->list, ACL_REVISION) || !grant(access, user, bits >> 6) ||
        !grant(access, others, bits) ||
        !InitializeSecurityDescriptor(&access->descriptor, SECURITY_DESCRIPTOR_REVISION) ||
        !SetSecurityDescriptorOwner(&access->descriptor, user, FALSE) ||
        !SetSecurityDescriptorDacl(&access->descriptor, TRUE, &access->list.acl, FALSE) ||
        !SetSecurityDescriptorControl(&access->descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED))
        return MAPRING_SYSTEM_ERROR;
    access->attributes = (SECURITY_ATTRIBUTES){
        .nLength = sizeof access->attributes,
        .lpSecurityDescriptor = &access->descriptor,
    };
    return MAPRING_OK;
}

bool win32_is_own(HANDLE object)
{
    union {
        SECURITY_DESCRIPTOR descriptor;
        uint8_t bytes[sizeof(SECURITY_DESCRIPTOR) + SECURITY_MAX_SID_SIZE + 64];
    } told;
    DWORD size;
    PSID owner;
    BOOL defaulted;
    if (!GetKernelObjectSecurity(object, OWNER_SECURITY_INFORMATION, &told.descriptor, sizeof told, &size) ||
        !GetSecurityDescriptorOwner(&told.descriptor, &owner, &defaulted))
        return false;
    /* Wine knows no owner of what was made without saying so, and has one user only. Windows always knows. */
    if (owner == NULL)
        return true;
    /* What an administrator makes without saying so belongs to all administrators. */
    union win32_sid user, usual;
    PSID user_sid = token_sid(TokenUser, &user);
    PSID usual_sid = token_sid(TokenOwner, &usual);
    return (user_sid != NULL && EqualSid(owner, user_sid)) || (usual_sid != NULL && EqualSid(owner, usual_sid));
}
